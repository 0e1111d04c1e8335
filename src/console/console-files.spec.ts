import { expect, it } from '@jest/globals';
import { DEMO_USERS } from '../seeds.js';
import { DEMO_EMAILS } from './demo-emails.js';

it('the console offers the demo users that development creates', () => {
  expect(DEMO_EMAILS).toEqual(DEMO_USERS.map(({ email }) => email));
});
