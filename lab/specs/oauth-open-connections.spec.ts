import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { APPS_ENV, appOf } from '../../test/support/oauth.js';
import { ProbeModule } from '../../test/support/probe-routes.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { StreamsModule } from '../../test/support/stream-routes.js';
import { listening, openStream, untilClosed } from '../../test/support/streams.js';
import { createUser, loggedIn } from '../../test/support/test-users.js';

const STREAMS = '/v1/probe/streams';
const SCOPES = ['probe:read', 'probe:write'];

/** Real: PostgreSQL, Redis, two instances, sockets. */
describeWithRedis('S7: the open connections of an app', () => {
  let a: TestApp;
  let b: TestApp;

  beforeAll(async () => {
    await resetStores();
    const options = { features: [ProbeModule, StreamsModule], env: APPS_ENV };
    [a, b] = [await listening(await startApp(options)), await listening(await startApp(options))];
  });
  afterAll(() => Promise.all([a.close(), b.close()]));

  it('are closed on another instance by the end of its grant, on both tiers', async () => {
    const owner = await loggedIn(a, await createUser(a));
    const app = await appOf(a, owner, SCOPES);
    const clients = [
      await openStream(b, `${STREAMS}/access`, app),
      await openStream(b, `${STREAMS}/session`, app),
    ];
    expect(clients.map(({ status }) => status)).toEqual([200, 200]);
    await owner.delete(`/v1/grants/${app.grantId}`);
    for (const client of clients) await untilClosed(client);
    for (const client of clients) expect(client.end).toEqual({ code: 'auth.invalid_token' });
  });

  it('are closed by the end of the session with which the grant ends', async () => {
    const session = await loggedIn(a, await createUser(a));
    // A token with `sid`: its grant has no `offline_access`.
    const app = await appOf(a, session, SCOPES, { sid: session.id });
    const client = await openStream(b, `${STREAMS}/access`, app);
    await a.get(RevocationService).endSession(session.id, { reason: 'admin', actorId: null, context: null });
    await untilClosed(client);
  });
});
