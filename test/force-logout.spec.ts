import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { ADMIN, ALICE, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Client } from './support/client.js';
import { describeWithRedis } from './support/redis.js';

/** Real: PostgreSQL, Redis, two instances of the application. */
describeWithRedis('force-logout, the story of the README', () => {
  let a: TestApp;
  let b: TestApp;
  let admin: Client;

  beforeAll(async () => {
    await resetStores();
    [a, b] = [await startApp(), await startApp()];
  });
  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
  });
  beforeEach(async () => {
    admin = a.client();
    await admin.login(ADMIN.email, PASSWORD);
  });

  it.each(['cookie', 'bearer'])(
    'ends a %s session on one instance and every tier of the other refuses it [ADM-01, SES-04, TOK-21]',
    async (transport) => {
      const alice = a.client();
      expect((await alice.login(ALICE.email, PASSWORD, { transport })).status).toBe(200);
      alice.at(b);
      expect((await alice.get('/v1/probe/flags')).status).toBe(200);
      expect((await alice.pay(`before ${transport}`.replace(' ', '-'))).status).toBe(201);

      const sessions = await admin.get(`/v1/admin/users/${ALICE.id}/sessions`);
      const session = sessions.body.items[0];
      expect(session).toMatchObject({ status: 'active', transport });
      const receipt = await admin.delete(`/v1/admin/sessions/${session.id}`);
      expect(receipt).toMatchObject({ status: 200, body: { status: 'applied', endedSessions: 1 } });

      const refused = { status: 401, body: { code: 'auth.session_ended', reason: 'admin' } };
      expect(await alice.pay(`after-${transport}`)).toMatchObject(refused);
      const floor = { headers: { 'x-min-revocation-seq': String(receipt.body.seq) } };
      expect(await alice.get('/v1/probe/flags', floor)).toMatchObject(refused);
      expect(await alice.refresh()).toMatchObject(refused);
      expect((await alice.login(ALICE.email, PASSWORD, { transport })).status).toBe(200);
      expect((await alice.pay(`again-${transport}`)).status).toBe(201);
    },
  );
});
