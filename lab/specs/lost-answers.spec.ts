import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ADMIN,
  ALICE,
  BOB,
  holdBackgroundWork,
  PASSWORD,
  resetStores,
  startApp,
  type TestApp,
} from '../../test/support/app.js';
import { Authenticator } from '../../test/support/authenticator.js';
import type { Answer, Client } from '../../test/support/client.js';
import { StoppedClock, type TestClock } from '../../test/support/clock.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import { enrolPasskey, ORIGIN, PASSKEY_ENV, PASSKEY_STEP_UP, PASSKEYS } from '../../test/support/passkeys.js';
import { keysDelivered, loggedIn, createUser, type Person } from '../../test/support/test-users.js';
import { AuthenticatorApp, enrol } from '../../test/support/second-factor.js';
import { eventually } from '../../test/support/waiting.js';
import { COOKIES } from '../../test/support/cookies.js';

const UNAVAILABLE = { status: 503, body: { code: 'auth.unavailable' } };

/** Real: PostgreSQL, Redis where there is one. Between them and the application a network that loses answers. */
describe('a commit whose answer was lost', () => {
  let proxy: FaultProxy;
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    proxy = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
    app = await startApp({ env: { DATABASE_URL: proxy.url } });
    holdBackgroundWork(app);
  });
  afterAll(async () => {
    await app.close();
    await proxy.close();
  });

  it('is not paid twice when the client pays again with the same key', async () => {
    const alice = await loggedIn(app, ALICE);
    const lost = proxy.loseAnswerTo('COMMIT');
    expect(await alice.pay('once')).toMatchObject({ ...UNAVAILABLE, headers: { 'retry-after': '1' } });
    await lost;
    const retry = await alice.pay('once');
    expect(retry.status).toBe(201);
    const { body } = await alice.get('/v1/probe/payments');
    expect(body.items).toEqual([retry.body]);
  });

  it('R2: of a refresh logs no client out that retries with the device token', async () => {
    const alice = await loggedIn(app, ALICE);
    const lost = proxy.loseAnswerTo('renew session');
    expect(await alice.refresh()).toMatchObject(UNAVAILABLE);
    await lost;
    expect((await alice.refresh()).status).toBe(200);
    expect((await alice.refresh()).status).toBe(200);
    expect((await alice.pay('after-the-loss')).status).toBe(201);
  });

  it('of a force-logout is completed by the dispatcher', async () => {
    const [admin, bob] = [await loggedIn(app, ADMIN), await loggedIn(app, BOB)];
    expect((await bob.get('/v1/sessions/current')).status).toBe(200);
    const lost = proxy.loseAnswerTo('COMMIT');
    expect(await admin.delete(`/v1/admin/sessions/${bob.id}`)).toMatchObject(UNAVAILABLE);
    await lost;
    await eventually(async () => {
      expect(await bob.get('/v1/probe/flags')).toMatchObject({ status: 401, body: { reason: 'admin' } });
      const [{ pending }] = (await app.query(
        'select count(*)::int as pending from revocations where applied_at is null',
      )) as [{ pending: number }];
      expect(pending).toBe(0);
    });
    const again = await admin.delete(`/v1/admin/sessions/${bob.id}`);
    expect(again).toMatchObject({ status: 200, body: { status: 'applied', endedSessions: 0 } });
  });

  it('of a login leaves a session without a client, which the user sees and can end', async () => {
    const before = await loggedIn(app, ALICE);
    const lost = proxy.loseAnswerTo('COMMIT');
    expect(await app.client().login(ALICE.email, PASSWORD, { transport: 'bearer' })).toMatchObject(
      UNAVAILABLE,
    );
    await lost;
    const others = (await before.get('/v1/sessions')).body.items.filter(
      (session: { current: boolean }) => !session.current,
    );
    expect(others.length).toBeGreaterThan(0);
    expect((await before.delete('/v1/sessions?except=current')).body.endedSessions).toBe(others.length);
  });
});

describe('an instance whose PostgreSQL hangs', () => {
  it('S3: answers 503 on session routes, keeps serving the access tier, and recovers by itself', async () => {
    const proxy = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
    const app = await startApp({ env: { DATABASE_URL: proxy.url, CACHE_LEASE: '1s' } });
    const alice = await loggedIn(app, ALICE);
    proxy.stall();
    const unknownToTheCache = await alice.get('/v1/probe/payments');
    expect(unknownToTheCache).toMatchObject(UNAVAILABLE);
    expect((await alice.get('/v1/probe/flags')).status).toBe(200);
    proxy.heal();
    await eventually(async () => expect((await alice.get('/v1/probe/payments')).status).toBe(200));
    await app.close();
    await proxy.close();
  });
});

type Send = (client: Client) => Promise<Answer>;

interface Change {
  request: string;
  /** Prepares the user's state. @returns the request, which any client of the user can send and repeat */
  prepare: (me: Person, app: TestApp) => Promise<Send>;
  status: number;
  /** The answer to the same request, sent again after the refresh. */
  again: object;
}

const NEW_PASSWORD = 'the kettle sings at noon';
const TOTP = '/v1/auth/mfa/totp';

/** Every request that gives a session new keys, with the answer to its repetition. */
const CHANGES: Change[] = [
  {
    request: 'POST /v1/auth/reauthenticate',
    prepare: async () => (client) => client.reauthenticate({ password: PASSWORD }),
    status: 200,
    again: { status: 200 },
  },
  {
    request: 'POST /v1/auth/reauthenticate/passkey',
    prepare: async (me, { clock }) => {
      const key = new Authenticator(ORIGIN);
      expect((await enrolPasskey(me, key)).status).toBe(201);
      // A request from the millisecond of a credential change, or before, is void.
      clock.advance(1);
      const { body } = await me.post(`${PASSKEY_STEP_UP}/options`);
      return (client) => client.post(PASSKEY_STEP_UP, { response: key.get(body) });
    },
    status: 200,
    // The challenge works once; the client requests another one.
    again: { status: 401, body: { code: 'auth.invalid_credentials' } },
  },
  {
    request: 'POST /v1/auth/password/change',
    prepare: async () => (client) =>
      client.post('/v1/auth/password/change', { currentPassword: PASSWORD, newPassword: NEW_PASSWORD }),
    status: 204,
    again: { status: 204 },
  },
  {
    request: 'POST /v1/auth/mfa/totp/confirm',
    prepare: async (me, { clock }) => {
      const { body } = await me.post(TOTP);
      const code = new AuthenticatorApp(body.secret, clock).code();
      return (client) => client.post(`${TOTP}/confirm`, { code });
    },
    status: 200,
    again: { status: 200, body: { recoveryCodes: expect.any(Array) } },
  },
  {
    request: 'DELETE /v1/auth/mfa/totp',
    prepare: async (me, app) => {
      await enrol(app, me);
      return (client) => client.delete(TOTP);
    },
    status: 204,
    again: { status: 404 },
  },
  {
    request: 'POST /v1/auth/passkeys',
    prepare: async (me) => {
      const { body } = await me.post(`${PASSKEYS}/options`);
      const response = new Authenticator(ORIGIN).create(body);
      return (client) => client.post(PASSKEYS, { response, name: 'Laptop' });
    },
    status: 201,
    again: { status: 201, body: { name: 'Laptop' } },
  },
  {
    request: 'DELETE /v1/auth/passkeys/:id',
    prepare: async (me) => {
      const { body } = await enrolPasskey(me, new Authenticator(ORIGIN));
      return (client) => client.delete(`${PASSKEYS}/${body.id}`);
    },
    status: 204,
    again: { status: 404 },
  },
];
const CREDENTIAL_CHANGES = CHANGES.filter(({ request }) => !request.includes('reauthenticate'));
const GRACE = 10_000;
/** A client that has no answer after this time has lost it. */
const ANSWER_LOST = 3_000;
/** A refresh that is at most so late may be a delayed request: five graces. */
const DELAYED = 5 * GRACE;

/** Real: PostgreSQL, the cache, and a network that loses answers. */
describe.each(['cookie', 'bearer'] as const)('R2: a %s client that loses the answer to', (transport) => {
  let proxy: FaultProxy;
  let clock: TestClock;
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    proxy = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
    clock = new StoppedClock();
    app = await startApp({ env: { ...PASSKEY_ENV, DATABASE_URL: proxy.url, CACHE_BUDGET: '1s' }, clock });
    holdBackgroundWork(app);
  });
  afterAll(async () => {
    await app.close();
    await proxy.close();
  });

  const current = (client: Client) => client.get('/v1/sessions/current');
  const begin = async ({ prepare }: Change) => {
    const { email } = await createUser(app);
    const me = await loggedIn(app, { email }, transport);
    const send = await prepare(me, app);
    return { me, send, email };
  };

  it.each(CHANGES)('$request continues the session and repeats the request', async (change) => {
    const { me, send } = await begin(change);
    const lost = proxy.loseAnswerTo('COMMIT');
    expect(await send(me.copy())).toMatchObject(UNAVAILABLE);
    await lost;
    clock.advance(GRACE);
    expect((await me.refresh()).status).toBe(200);
    expect((await current(me)).body.id).toBe(me.id);
    expect(await send(me)).toMatchObject(change.again);
    expect((await current(me)).body.id).toBe(me.id);
    clock.advance(GRACE + 1);
    expect((await me.refresh()).status).toBe(200);
    expect((await me.get('/v1/probe/flags')).status).toBe(200);
  });

  it.each(CHANGES)('$request continues the session an hour later', async (change) => {
    const { me, send } = await begin(change);
    expect((await send(me.copy())).status).toBe(change.status);
    clock.advance(3_600_000);
    for (let times = 0; times < 3; times += 1) {
      expect((await me.copy().refresh()).status).toBe(200);
      clock.advance(GRACE + 1);
    }
    expect((await me.refresh()).status).toBe(200);
    expect((await current(me)).body.id).toBe(me.id);
  });

  it('a confirmation of an authenticator app gets recovery codes for a later code, and the lost ones are void', async () => {
    const { me, email } = await begin(CREDENTIAL_CHANGES[0]!);
    const { body } = await me.post(TOTP);
    const phone = new AuthenticatorApp(body.secret, clock);
    const lost = await me.copy().post(`${TOTP}/confirm`, { code: phone.code() });
    clock.advance(ANSWER_LOST);
    expect((await me.refresh()).status).toBe(200);
    if (transport === 'cookie') {
      // The proof was withdrawn, and the password proves no second factor.
      for (const path of [TOTP, '/v1/auth/mfa/recovery-codes'])
        expect((await me.post(path)).body).toMatchObject({ bySecondFactor: true });
      expect((await me.delete(TOTP)).body).toMatchObject({ bySecondFactor: true });
    }
    clock.advance(2 * 60_000);
    const wrong = await me.post(`${TOTP}/confirm`, { code: phone.code(-5) });
    expect(wrong).toMatchObject({ status: 401, body: { code: 'auth.invalid_credentials' } });
    const again = await me.post(`${TOTP}/confirm`, { code: phone.code() });
    expect(again.status).toBe(200);
    const logIn = async (code: string) => {
      const { body: asked } = await app.client().login(email, PASSWORD, { transport: 'bearer' });
      return (await app.client().post('/v1/auth/login/mfa', { challengeToken: asked.challengeToken, code }))
        .status;
    };
    expect(await logIn(lost.body.recoveryCodes[0])).toBe(401);
    expect(await logIn(again.body.recoveryCodes[0])).toBe(200);
    expect(await logIn(phone.code())).toBe(401);
    expect((await me.post('/v1/auth/mfa/recovery-codes')).status).toBe(200);
  });

  it('a confirmation of an authenticator app has five minutes to retry', async () => {
    const { me } = await begin(CREDENTIAL_CHANGES[0]!);
    const phone = new AuthenticatorApp((await me.post(TOTP)).body.secret, clock);
    expect((await me.copy().post(`${TOTP}/confirm`, { code: phone.code() })).status).toBe(200);
    clock.advance(5 * 60_000);
    expect((await me.refresh()).status).toBe(200);
    await me.reauthenticate({ code: phone.code() });
    expect((await me.post(`${TOTP}/confirm`, { code: phone.nextCode() })).status).toBe(409);
  });

  it('a password change repeats it with the new password only, within five minutes', async () => {
    const { me, send } = await begin(CREDENTIAL_CHANGES[0]!);
    expect((await send(me.copy())).status).toBe(204);
    clock.advance(ANSWER_LOST);
    expect((await me.refresh()).status).toBe(200);
    const other = { currentPassword: PASSWORD, newPassword: 'the kettle sings at midnight' };
    expect((await me.post('/v1/auth/password/change', other)).status).toBe(401);
    clock.advance(5 * 60_000 - ANSWER_LOST);
    expect((await send(me)).status).toBe(204);
    clock.advance(1);
    expect((await send(me)).status).toBe(401);
  });
});

/** The copy has all cookies, including the device token. */
describe('a copy of the cookies from before a change of credentials', () => {
  const REFUSED = { status: 401, body: { code: 'auth.invalid_token' } };
  let clock: TestClock;
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    clock = new StoppedClock();
    app = await startApp({ env: { ...PASSKEY_ENV, CACHE_BUDGET: '1s' }, clock });
    holdBackgroundWork(app);
  });
  afterAll(() => app.close());

  const current = (client: Client) => client.get('/v1/sessions/current');
  /** The owner receives the answer; the copy is older. */
  const changed = async ({ prepare, status }: Change) => {
    const { email } = await createUser(app);
    const owner = await loggedIn(app, { email }, 'cookie');
    const send = await prepare(owner, app);
    const thief = owner.copy();
    expect((await send(owner)).status).toBe(status);
    return { owner, thief };
  };
  const used = async (owner: Client) => {
    expect((await current(owner)).status).toBe(200);
    await keysDelivered(app);
  };
  const goesOn = async (owner: Person) => {
    expect((await owner.refresh()).status).toBe(200);
    expect((await current(owner)).body.id).toBe(owner.id);
  };

  it.each(CREDENTIAL_CHANGES)('is refused without the device token ($request)', async (change) => {
    const { owner, thief } = await changed(change);
    thief.jar.delete(COOKIES.device);
    expect(await thief.refresh()).toMatchObject(REFUSED);
    await goesOn(owner);
  });

  it.each(CREDENTIAL_CHANGES)(
    'is refused once the owner has sent a request and no delayed request is possible any more ($request)',
    async (change) => {
      const { owner, thief } = await changed(change);
      await used(owner);
      clock.advance(DELAYED + 1);
      expect(await thief.refresh()).toMatchObject(REFUSED);
      await goesOn(owner);
    },
  );

  it('is refused once the owner has refreshed and no delayed request is possible any more', async () => {
    const { owner, thief } = await changed(CREDENTIAL_CHANGES[0]!);
    await goesOn(owner);
    clock.advance(DELAYED + 1);
    expect(await thief.refresh()).toMatchObject(REFUSED);
    await goesOn(owner);
  });

  it.each(CREDENTIAL_CHANGES)(
    'gets 503 with Retry-After while it may be a delayed request of an owner’s tab with new cookies ($request)',
    async (change) => {
      const { owner, thief } = await changed(change);
      await used(owner);
      clock.advance(DELAYED);
      expect(await thief.refresh()).toMatchObject({ ...UNAVAILABLE, headers: { 'retry-after': '1' } });
      await goesOn(owner);
    },
  );

  it.each(CREDENTIAL_CHANGES)(
    'gets no tokens once the owner has sent a request, not even within the grace ($request)',
    async (change) => {
      const { owner, thief } = await changed(change);
      await used(owner);
      clock.advance(1_000);
      expect(await thief.refresh()).toMatchObject(UNAVAILABLE);
      await goesOn(owner);
    },
  );

  it.each(CREDENTIAL_CHANGES)(
    'gets no tokens while the answer may be on its way, and the owner keeps the new proofs ($request)',
    async (change) => {
      const { owner, thief } = await changed(change);
      clock.advance(ANSWER_LOST - 1);
      expect(await thief.refresh()).toMatchObject({ ...UNAVAILABLE, headers: { 'retry-after': '1' } });
      const voided = `select from audit_events where session_id = $1 and type = 'authn_reauthentication_voided'`;
      expect(await app.query(voided, [owner.id])).toEqual([]);
      await goesOn(owner);
    },
  );

  it('that comes before the first request of the owner is not fresh, and is detected within two refreshes of the owner', async () => {
    const { email } = await createUser(app);
    const owner = await loggedIn(app, { email }, 'cookie');
    const thief = owner.copy();
    clock.advance(6 * 60_000);
    const passwords = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
    expect((await owner.post('/v1/auth/password/change', passwords)).status).toBe(204);
    clock.advance(ANSWER_LOST);
    expect((await thief.refresh()).status).toBe(200);
    expect((await thief.post(TOTP)).body.code).toBe('auth.reauthentication_required');
    const answers: Answer[] = [];
    for (const client of [owner, thief, owner, thief]) {
      clock.advance(DELAYED + 1);
      answers.push(await client.refresh());
    }
    expect(answers.find(({ status }) => status === 401)).toMatchObject({
      body: { code: 'auth.session_ended', reason: 'refresh_reuse' },
    });
  });

  it('that has continued the session is detected when the superseded cookies are presented again', async () => {
    const { owner, thief } = await changed(CREDENTIAL_CHANGES[0]!);
    const tab = thief.copy();
    clock.advance(ANSWER_LOST);
    expect((await thief.refresh()).status).toBe(200);
    await used(thief);
    clock.advance(DELAYED + 1);
    expect(await tab.refresh()).toMatchObject({ body: { reason: 'refresh_reuse' } });
    for (const client of [owner, thief])
      expect(await current(client)).toMatchObject({ body: { reason: 'refresh_reuse' } });
  });
});
