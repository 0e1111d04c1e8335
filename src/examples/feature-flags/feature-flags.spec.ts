import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ADMIN, ALICE, resetStores, startApp, type TestApp } from '../../../test/support/app.js';
import { documentOf } from '../../../test/support/operations.js';
import { loggedIn } from '../../../test/support/test-users.js';
import { flagsFor } from './flags.js';

/** Real: PostgreSQL, the application over HTTP. */
describe('the feature flags', () => {
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { API_DOCS: 'true', RATE_LIMITS: 'on' } });
  });
  afterAll(() => app.close());

  it('are shown to a user with a valid access token, and depend on the roles', async () => {
    expect((await app.client().get('/v1/feature-flags')).status).toBe(401);
    for (const [user, bulkExport] of [
      [ALICE, false],
      [ADMIN, true],
    ] as const) {
      const answer = await (await loggedIn(app, user)).get('/v1/feature-flags');
      expect(answer).toMatchObject({ status: 200, body: { flags: { darkMode: true, bulkExport } } });
      expect(answer.headers['ratelimit-policy']).toMatch(/q=600/);
    }
  });

  it('of a percentage show a feature to that share of the users, and always to the same', () => {
    const user = (index: number) => flagsFor({ userId: `user-${index}`, roles: ['user'] })['newDashboard'];
    const shown = Array.from({ length: 1_000 }, (_, index) => user(index));
    expect(shown.filter(Boolean).length).toBeGreaterThan(400);
    expect(shown.filter(Boolean).length).toBeLessThan(600);
    expect(Array.from({ length: 1_000 }, (_, index) => user(index))).toEqual(shown);
  });

  it('and the payments are of their tiers', async () => {
    const { operations } = await documentOf(app);
    const tiers = Object.fromEntries(operations.map((operation) => [operation.name, operation['x-tier']]));
    expect(tiers).toMatchObject({
      'GET /v1/feature-flags': 'access',
      'GET /v1/payments': 'session',
      'POST /v1/payments': 'session',
    });
  });
});
