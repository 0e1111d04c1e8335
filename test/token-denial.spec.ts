import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { RevocationSubscriber } from '../src/sessions/revocation/revocation-subscriber.js';
import { RevocationDispatcher } from '../src/sessions/revocation/revocation-dispatcher.js';
import { mintTokenId } from '../src/sessions/token-id.js';
import { SessionCache } from '../src/sessions/check/session-cache.js';
import { ADMIN, ALICE, resetStores, startApp, type TestApp } from './support/app.js';
import { read } from './support/forge.js';
import { loggedIn, type Person } from './support/test-users.js';
import { describeWithRedis } from './support/redis.js';
import { eventually } from './support/waiting.js';

/** Real: two instances over HTTP, PostgreSQL, Redis. */

const SESSION = '/v1/sessions/current';
const ACCESS = '/v1/auth/whoami';
const DENIED = { status: 401, body: { code: 'auth.token_expired' } };

const idOf = ({ accessToken }: Person) => read(accessToken!).claims['jti'] as string;

describeWithRedis('the denial of an access token', () => {
  let a: TestApp;
  let b: TestApp;
  let admin: Person;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
    [a, b] = [await startApp(), await startApp()];
  });
  afterAll(() => Promise.all([a.close(), b.close()]));
  beforeEach(async () => {
    [admin, alice] = [await loggedIn(a, ADMIN), await loggedIn(b, ALICE)];
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  const deny = (tokenId = idOf(alice)) => admin.delete(`/v1/admin/tokens/${tokenId}`);
  const unheard = (app: TestApp) =>
    jest.spyOn(app.get(RevocationSubscriber), 'catchUp').mockRejectedValue(new Error('cut off'));

  it('S1: when it is applied, the next check of an instance whose feed has not heard refuses the token, cached or not', async () => {
    for (const round of ['cached', 'not cached']) {
      const person = await loggedIn(b, ALICE);
      if (round === 'cached')
        await eventually(async () => expect((await person.get(SESSION)).status).toBe(200));
      const deaf = unheard(b);
      expect(await deny(idOf(person))).toMatchObject({
        status: 200,
        body: { status: 'applied', endedSessions: 0 },
      });
      expect((await person.get(ACCESS)).status).toBe(200);
      expect(await person.get(SESSION)).toMatchObject(DENIED);
      deaf.mockRestore();
    }
  });

  it('A1: reaches the access tier of every instance', async () => {
    await deny();
    expect(await alice.at(a).get(ACCESS)).toMatchObject(DENIED);
    await eventually(async () => expect(await alice.at(b).get(ACCESS)).toMatchObject(DENIED));
  });

  it('leaves the session alive: the next token is good, and so is the one of another device', async () => {
    const phone = await loggedIn(b, ALICE);
    await deny();
    expect(await alice.get(SESSION)).toMatchObject(DENIED);
    expect((await alice.refresh()).status).toBe(200);
    for (const person of [alice, phone]) {
      for (const path of [ACCESS, SESSION]) expect((await person.get(path)).status).toBe(200);
    }
    const listed = await phone.get('/v1/sessions');
    expect(listed.body.items.map(({ id }: { id: string }) => id)).toContain(alice.id);
  });

  it('is pending when the cache cannot be written, and applied by a dispatcher', async () => {
    await eventually(async () => expect((await alice.get(SESSION)).status).toBe(200));
    const forget = jest.spyOn(a.get(SessionCache), 'invalidate').mockRejectedValue(new Error('away'));
    const receipt = await deny();
    expect(receipt).toMatchObject({ status: 202, body: { status: 'pending' } });
    forget.mockRestore();
    await a.query(`update revocations set created_at = created_at - interval '3 s' where seq = $1`, [
      receipt.body.seq,
    ]);
    await b.get(RevocationDispatcher).dispatch();
    const later = await admin.get(`/v1/admin/revocations/${receipt.body.seq}`);
    expect(later).toMatchObject({ status: 200, body: { status: 'applied' } });
    expect(await alice.get(SESSION)).toMatchObject(DENIED);
  });

  it('is one revocation when it is requested twice, even at once [ADM-01]', async () => {
    const answers = await Promise.all([deny(), deny(), deny()]);
    expect(new Set(answers.map(({ body }) => body.seq)).size).toBe(1);
    expect((await deny()).body.seq).toBe(answers[0]!.body.seq);
    const [events] = await a.query(
      `select count(*)::int, min(session_id::text) as session from audit_events
       where type = 'authn_token_revoked' and details ->> 'tokenId' = $1`,
      [idOf(alice)],
    );
    expect(events).toEqual({ count: 1, session: alice.id });
  });

  it('answers 404 for a session that never existed, and 400 for an invalid jti', async () => {
    expect(await deny(mintTokenId('00000000-0000-7000-8000-000000000000'))).toMatchObject({ status: 404 });
    for (const wrong of ['x', ALICE.id, `${idOf(alice)}A`, '%00', "'--"]) {
      expect(await deny(wrong)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    }
  });

  it('is for admins only', async () => {
    expect(await alice.delete(`/v1/admin/tokens/${idOf(admin)}`)).toMatchObject({ status: 403 });
    expect((await admin.get(SESSION)).status).toBe(200);
  });
});

describe('a jti', () => {
  it('is never the same twice, and names its session', () => {
    const ids = Array.from({ length: 1_000 }, () => mintTokenId('0192d5a0-0000-7000-8000-000000000001'));
    expect(new Set(ids).size).toBe(1_000);
  });
});
