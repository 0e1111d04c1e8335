import { expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { resetStores, startApp } from '../../../test/support/app.js';
import { generateTypes, TYPES_FILE } from '../generate-types.mjs';

/** Real: the application with its OpenAPI document. */
it('the types of the API match its OpenAPI document (else: `npm run client:types` beside `npm start`)', async () => {
  await resetStores();
  const app = await startApp({ env: { API_DOCS: 'true' }, features: [] });
  const { body } = await app.client().get('/openapi.json');
  await app.close();
  expect(readFileSync(TYPES_FILE, 'utf8')).toBe(await generateTypes(body));
});
