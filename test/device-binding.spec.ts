import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type pg from 'pg';
import { MAIN_POOL } from '../src/platform/persistence/database.module.js';
import { SessionRepository } from '../src/sessions/session.repository.js';
import {
  ADMIN,
  ALICE,
  holdBackgroundWork,
  PASSWORD,
  resetStores,
  startApp,
  type TestApp,
} from './support/app.js';
import type { Answer, Client } from './support/client.js';
import { StoppedClock, type TestClock } from './support/clock.js';
import { COOKIES } from './support/cookies.js';
import { challengeIn, DeviceKey, offeredChallenge, renewal } from './support/device-key.js';
import { createUser, keysDelivered, loggedIn, type Person } from './support/test-users.js';
import { enrol } from './support/second-factor.js';
import { eventually, Gate } from './support/waiting.js';

const MINUTE = 60_000;
const BOUND_COOKIE = 5 * MINUTE;
const ANSWER_LOST = 3_000;
const UNPROVEN = { status: 401, body: { code: 'auth.reauthentication_required', deviceKey: 'unproven' } };
const EXPIRED = { status: 401, body: { code: 'auth.token_expired' } };
/** Of a browser that cannot prove its key now. */
const LATER = { status: 429, body: { code: 'request.rate_limited' } };
const TRY_AGAIN = { status: 503, body: { code: 'auth.unavailable' } };

/** Real: PostgreSQL, the cache, two instances. The browser is played by a key of this process. */
describe('a session that is bound to a key of the browser', () => {
  let clock: TestClock;
  let app: TestApp;
  let other: TestApp;
  let owner: Person;
  let key: DeviceKey;
  /** The jar before the binding, and the answer that offered it. */
  let before: Client;
  let offer: Answer;

  beforeAll(async () => {
    await resetStores();
    clock = new StoppedClock();
    const env = { CACHE_BUDGET: '1s' };
    [app, other] = [await startApp({ clock, env }), await startApp({ clock, env })];
    for (const one of [app, other]) holdBackgroundWork(one);
    key = await DeviceKey.create();
  });
  afterAll(() => Promise.all([app?.close(), other?.close()]));
  afterEach(() => void jest.restoreAllMocks());
  beforeEach(async () => {
    owner = await loggedIn(app, ALICE, 'cookie');
    offer = await owner.refresh();
    before = owner.copy();
    expect(await key.register(owner, offer)).toMatchObject({ status: 200 });
    clock.advance(ANSWER_LOST);
  });

  const session = (client: Client) => client.get('/v1/sessions/current');
  const flags = (client: Client) => client.get('/v1/probe/flags');
  /** Everything in the jar but the bound cookie: what a thief has as soon as that cookie has expired. */
  const jarOf = (client: Client) => {
    const copy = client.copy();
    copy.jar.delete(COOKIES.bound);
    return copy;
  };
  const stored = async (columns: string) =>
    (await app.query(`select ${columns} from sessions where id = $1`, [owner.id]))[0];

  it('is told to keep a short-lived cookie, whose value and challenge change with each renewal [BND-01]', async () => {
    const first = owner.jar.get(COOKIES.bound);
    const renewed = await key.renew(owner, owner.id);
    expect(renewed).toMatchObject({
      status: 200,
      body: {
        session_identifier: owner.id,
        refresh_url: '/v1/auth/binding/refresh',
        credentials: [
          { type: 'cookie', name: COOKIES.bound, attributes: 'Path=/; Secure; HttpOnly; SameSite=Lax' },
        ],
        allowed_refresh_initiators: ['*'],
      },
    });
    expect(renewed.setCookies).toEqual([
      expect.stringMatching(
        new RegExp(`^${COOKIES.bound}=[\\w-]{62}; Max-Age=290; Path=/; HttpOnly; Secure; SameSite=Lax$`),
      ),
    ]);
    const again = await renewal(owner, owner.id, await key.sign(challengeIn(renewed)));
    expect(again.status).toBe(200);
    expect(new Set([first, cookieIn(renewed), cookieIn(again)]).size).toBe(3);
    expect(challengeIn(again)).not.toBe(challengeIn(renewed));
  });

  it('works as before in its browser, on both tiers, on every instance, and says that it is bound [BND-02]', async () => {
    for (const instance of [app, other]) {
      expect(await session(owner.at(instance))).toMatchObject({
        status: 200,
        body: { binding: { carrier: 'dbsc', boundAt: expect.any(String) } },
      });
      expect((await flags(owner.at(instance))).status).toBe(200);
      expect((await owner.refresh()).status).toBe(200);
    }
    expect((await session(owner)).status).toBe(200);
  });

  it('is refused without the bound cookie on both tiers and at the refresh, and nothing of it changes [BND-03]', async () => {
    const thief = jarOf(owner);
    const state = () => stored('rotation, key_version, superseded_keys, binding_version, status');
    const untouched = await state();
    for (const instance of [app, other]) {
      expect(await session(thief.at(instance))).toMatchObject(UNPROVEN);
      expect(await flags(thief.at(instance))).toMatchObject(UNPROVEN);
      for (let time = 0; time < 3; time++)
        expect(await jarOf(owner).at(instance).refresh()).toMatchObject(UNPROVEN);
    }
    expect(await state()).toEqual(untouched);
    expect((await owner.refresh()).status).toBe(200);
    expect((await session(owner)).status).toBe(200);
  });

  it('is refused to a copy from before the binding: at once where sessions are checked, and at the refresh [BND-04]', async () => {
    for (const instance of [app, other]) {
      expect(await session(before.copy().at(instance))).toMatchObject(EXPIRED);
      expect(await before.copy().at(instance).refresh()).toMatchObject(UNPROVEN);
      await eventually(async () => expect(await flags(before.copy().at(instance))).toMatchObject(EXPIRED));
    }
  });

  it('gives no tokens to a copy whose refresh was under way when the session was bound [BND-04]', async () => {
    const another = await loggedIn(app, ALICE, 'cookie');
    const answer = await another.refresh();
    const thief = another.copy().at(other);
    const [arrived, bound] = [new Gate(), new Gate()];
    const repository = other.get(SessionRepository);
    const save = repository.saveRotation.bind(repository);
    const spy = jest.spyOn(repository, 'saveRotation').mockImplementationOnce(async (...args) => {
      arrived.open();
      await bound.opened;
      return save(...args);
    });
    const refreshed = thief.refresh();
    await arrived.opened;
    expect((await key.register(another, answer)).status).toBe(200);
    bound.open();
    expect(await refreshed).toMatchObject({ ...TRY_AGAIN, setCookies: [] });
    spy.mockRestore();
    expect((await another.refresh()).status).toBe(200);
  });

  it('refuses a bound cookie of an earlier key, also beside the newest tokens [BND-05]', async () => {
    const former = owner.jar.get(COOKIES.bound)!;
    const lost = jarOf(owner);
    expect((await lost.reauthenticate({ password: PASSWORD })).status).toBe(200);
    const anew = await DeviceKey.create();
    expect((await anew.register(lost, await lost.refresh())).status).toBe(200);
    clock.advance(ANSWER_LOST);
    const mixed = lost.copy();
    mixed.jar.set(COOKIES.bound, former);
    expect(await session(mixed)).toMatchObject(UNPROVEN);
    expect(await mixed.refresh()).toMatchObject(UNPROVEN);
    expect((await session(lost)).status).toBe(200);
    expect((await lost.refresh()).status).toBe(200);
  });

  it('refuses a bound cookie when it has expired, or is that of another session [BND-05]', async () => {
    const late = owner.copy();
    clock.advance(BOUND_COOKIE - ANSWER_LOST - 1);
    expect((await flags(late)).status).toBe(200);
    expect((await session(late)).status).toBe(200);
    clock.advance(1);
    expect(await flags(late)).toMatchObject(UNPROVEN);
    expect(await session(late)).toMatchObject(UNPROVEN);
    const another = await loggedIn(app, ALICE, 'cookie');
    await key.register(another, await another.refresh());
    const mixed = owner.copy();
    mixed.jar.set(COOKIES.bound, another.jar.get(COOKIES.bound)!);
    expect(await flags(mixed)).toMatchObject(UNPROVEN);
    expect(await session(mixed)).toMatchObject(UNPROVEN);
    expect(await mixed.refresh()).toMatchObject(UNPROVEN);
    expect((await key.renew(owner, owner.id)).status).toBe(200);
    expect((await flags(owner)).status).toBe(200);
  });

  it('refuses a forged, changed or misspelt bound cookie [BND-05]', async () => {
    const genuine = owner.jar.get(COOKIES.bound)!;
    const bytes = Buffer.from(genuine, 'base64url');
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes);
      changed[index]! ^= 1;
      const thief = owner.copy();
      thief.jar.set(COOKIES.bound, changed.toString('base64url'));
      expect(await flags(thief)).toMatchObject(UNPROVEN);
    }
    for (const text of [`${genuine}=`, genuine.slice(1), `${genuine}A`, 'x', offeredChallenge(offer)]) {
      const thief = owner.copy();
      thief.jar.set(COOKIES.bound, text);
      expect(await flags(thief)).toMatchObject(UNPROVEN);
    }
  });

  it('answers each challenge once, from its own session and key, and only as long as the challenge is good [BND-06]', async () => {
    const asked = await renewal(owner, owner.id);
    expect(asked).toMatchObject({
      status: 403,
      body: { code: 'auth.device_proof_required' },
      setCookies: [],
    });
    const proof = await key.sign(challengeIn(asked));
    expect((await renewal(owner, owner.id, proof)).status).toBe(200);
    // A proof that was seen on the way is worth nothing.
    expect(await renewal(owner, owner.id, proof)).toMatchObject({ status: 403, setCookies: [] });
    const another = await loggedIn(app, ALICE, 'cookie');
    await key.register(another, await another.refresh());
    const foreign = await key.sign(challengeIn(await renewal(another, another.id)));
    expect(await renewal(owner, owner.id, foreign)).toMatchObject({ status: 403, setCookies: [] });
    const stranger = await DeviceKey.create();
    const wrong = await stranger.sign(challengeIn(await renewal(owner, owner.id)), { withKey: true });
    expect(await renewal(owner, owner.id, wrong)).toMatchObject({ status: 400, setCookies: [] });
    const late = await key.sign(challengeIn(await renewal(owner, owner.id)));
    clock.advance(30 * MINUTE);
    expect(await renewal(owner, owner.id, late)).toMatchObject({ status: 403, setCookies: [] });
    expect((await key.renew(owner, owner.id)).status).toBe(200);
  });

  it('gives one bound cookie when many proofs of one challenge arrive at once [BND-06]', async () => {
    const proof = await key.sign(challengeIn(await renewal(owner, owner.id)));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        renewal(owner.copy().at(index % 2 ? app : other), owner.id, proof),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(19);
  });

  it('is renewed without cookies, so a browser that slept longer than every cookie goes on [BND-07]', async () => {
    clock.advance(20 * 24 * 60 * MINUTE);
    const awake = app.client();
    expect((await key.renew(awake, owner.id)).status).toBe(200);
    owner.jar.set(COOKIES.bound, awake.jar.get(COOKIES.bound)!);
    expect(await flags(owner)).toMatchObject(EXPIRED);
    expect((await owner.refresh()).status).toBe(200);
    expect((await flags(owner)).status).toBe(200);
  });

  it('tells the browser to forget the key when the session has ended, and for every other id [BND-08]', async () => {
    const asked = await renewal(owner, owner.id);
    await owner.post('/v1/auth/logout');
    const unknown = '00000000-0000-4000-8000-000000000001';
    for (const id of [owner.id, unknown, 'nonsense', `"${owner.id}"`]) {
      const named = id === 'nonsense' ? {} : { session_identifier: id.replaceAll('"', '') };
      const answer = await renewal(owner, id);
      expect(answer).toMatchObject({ status: 200, setCookies: [] });
      expect(answer.body).toEqual({ ...named, continue: false });
      expect(await renewal(owner, id, await key.sign(challengeIn(asked)))).toMatchObject({
        body: { continue: false },
      });
    }
    const unbound = await loggedIn(app, ALICE, 'cookie');
    expect((await renewal(unbound, unbound.id)).body).toMatchObject({ continue: false });
    const bearer = await loggedIn(app, ALICE);
    expect((await renewal(bearer, bearer.id)).body).toMatchObject({ continue: false });
  });

  it('tells the browser to forget the key of a session whose cookies it lost before its present session [BND-08]', async () => {
    const present = app.client();
    await present.login(ALICE.email, PASSWORD);
    const asked = await renewal(owner, owner.id);
    const proof = await key.sign(challengeIn(asked));
    for (const answer of [await renewal(present, owner.id), await renewal(present, owner.id, proof)]) {
      expect(answer).toMatchObject({ status: 200, setCookies: [] });
      expect(answer.body).toEqual({ session_identifier: owner.id, continue: false });
    }
    // Its own browser still has its cookies.
    expect((await renewal(owner, owner.id, proof)).status).toBe(200);
  });

  it('keeps the key of the browser when a store fails during a renewal: 503, and no end [BND-09]', async () => {
    const proof = await key.sign(challengeIn(await renewal(owner, owner.id)));
    const failing = jest
      .spyOn(app.get<pg.Pool>(MAIN_POOL), 'query')
      .mockRejectedValue(Object.assign(new Error('the server is shutting down'), { code: '57P01' }) as never);
    for (const answer of [await renewal(owner, owner.id), await renewal(owner, owner.id, proof)])
      expect(answer).toMatchObject({ ...TRY_AGAIN, setCookies: [] });
    failing.mockRestore();
    expect((await renewal(owner, owner.id, proof)).status).toBe(200);
  });

  it('lets a page try again while the browser says that it could not prove the key now [BND-10]', async () => {
    for (const reason of ['unreachable', 'server_error', 'quota_exceeded']) {
      const headers = { 'secure-session-skipped': `${reason};session_identifier="${owner.id}"` };
      for (const path of ['/v1/probe/flags', '/v1/sessions/current'])
        expect(await jarOf(owner).get(path, { headers })).toMatchObject(LATER);
    }
    expect((await session(owner)).status).toBe(200);
  });

  it('gives no token for a step-up to a refresh while the browser says that it could not prove the key now [BND-10]', async () => {
    const late = jarOf(owner);
    const headers = { 'secure-session-skipped': `quota_exceeded;session_identifier="${owner.id}"` };
    const answer = await late.post('/v1/auth/refresh', undefined, { headers });
    expect(answer).toMatchObject({ ...LATER, setCookies: [] });
    expect((await session(owner)).status).toBe(200);
  });

  it('lets a request try again that crosses the answer with the first bound cookie [BND-11]', async () => {
    const another = await loggedIn(app, ALICE, 'cookie');
    const answer = await another.refresh();
    const onItsWay = another.copy();
    await key.register(another, answer);
    expect(await session(onItsWay)).toMatchObject(EXPIRED);
    expect(await onItsWay.refresh()).toMatchObject({ ...TRY_AGAIN, setCookies: [] });
    expect((await another.refresh()).status).toBe(200);
  });

  it('is never ended by a late or repeated token of its own browser, also without the device token [BND-23]', async () => {
    owner.jar.delete(COOKIES.device);
    const late = owner.copy();
    for (let time = 0; time < 4; time++) {
      expect((await owner.refresh()).status).toBe(200);
      clock.advance(MINUTE);
    }
    expect((await key.renew(owner, owner.id)).status).toBe(200);
    late.jar.set(COOKIES.bound, owner.jar.get(COOKIES.bound)!);
    const answers = [];
    for (let time = 0; time < 3; time++) answers.push(await late.copy().refresh());
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    const [newest] = new Set(
      answers.map(({ setCookies }) => setCookies.find((one) => one.includes('refresh='))),
    );
    expect(newest).toContain(`=${owner.jar.get(COOKIES.refresh)};`);
    expect((await owner.refresh()).status).toBe(200);
    expect((await session(owner)).status).toBe(200);
  });

  it('refuses a token from before a step-up when it is too late, and does not end [BND-23]', async () => {
    const late = owner.copy();
    expect((await owner.reauthenticate({ password: PASSWORD })).status).toBe(200);
    expect((await session(owner)).status).toBe(200);
    await keysDelivered(app);
    clock.advance(2 * MINUTE);
    expect(await late.refresh()).toMatchObject({ status: 401, body: { code: 'auth.invalid_token' } });
    expect((await session(owner)).status).toBe(200);
    expect((await owner.refresh()).status).toBe(200);
  });

  it('loses its bound cookie with the others at a logout [BND-24]', async () => {
    const out = await owner.copy().post('/v1/auth/logout');
    expect(out.setCookies).toContainEqual(
      expect.stringMatching(new RegExp(`^${COOKIES.bound}=; Max-Age=0; `)),
    );
    const plain = await loggedIn(app, ALICE, 'cookie');
    const { setCookies } = await plain.post('/v1/auth/logout');
    expect(setCookies.filter((cookie) => cookie.startsWith(COOKIES.bound))).toEqual([]);
  });

  describe('when the browser has lost the key', () => {
    it('goes on after a step-up in place, with a refresh first if the access token has expired [BND-12]', async () => {
      clock.advance(16 * MINUTE);
      const lost = jarOf(owner);
      expect(await flags(lost)).toMatchObject(EXPIRED);
      expect(await lost.refresh()).toMatchObject(UNPROVEN);
      expect(await flags(lost)).toMatchObject(UNPROVEN);
      expect(await session(lost)).toMatchObject(UNPROVEN);
      const stepUp = await lost.reauthenticate({ password: PASSWORD });
      expect(stepUp).toMatchObject({ status: 200, body: { session: { id: owner.id } } });
      expect(stepUp.body.session.binding).toBeUndefined();
      expect((await session(lost)).status).toBe(200);
      expect((await flags(lost)).status).toBe(200);
      expect((await lost.refresh()).status).toBe(200);
      expect(await session(owner)).toMatchObject(EXPIRED);
      const anew = await DeviceKey.create();
      expect((await anew.register(lost, await lost.refresh())).status).toBe(200);
      expect((await session(lost)).status).toBe(200);
      expect((await anew.renew(lost, owner.id)).status).toBe(200);
      // The former key is worth nothing any more.
      expect(
        (await renewal(owner, owner.id, await key.sign(challengeIn(await renewal(owner, owner.id))))).status,
      ).toBe(400);
    });

    it('does not end by wrong passwords of a thief, who stays outside [BND-12]', async () => {
      const thief = jarOf(owner);
      expect(await thief.reauthenticate({ password: 'wrong password of a thief' })).toMatchObject({
        status: 401,
      });
      expect(await session(thief)).toMatchObject(UNPROVEN);
      expect((await session(owner)).status).toBe(200);
    });

    it('needs the second factor again in a session that began with one, not the password alone [BND-13]', async () => {
      const { email } = await createUser(app);
      const careful = await loggedIn(app, { email }, 'cookie');
      const { phone } = await enrol(app, careful);
      await key.register(careful, await careful.refresh());
      clock.advance(ANSWER_LOST);
      const lost = jarOf(careful);
      expect(await lost.reauthenticate({ password: PASSWORD })).toMatchObject({
        ...UNPROVEN,
        body: { bySecondFactor: true },
      });
      expect(await session(lost)).toMatchObject(UNPROVEN);
      expect((await lost.reauthenticate({ code: phone.nextCode() })).status).toBe(200);
      expect((await session(lost)).status).toBe(200);
    });
  });

  describe('the registration', () => {
    let fresh: Person;
    beforeEach(async () => {
      fresh = await loggedIn(app, ALICE, 'cookie');
    });

    it('is offered by a login, a refresh and a step-up, until the session is bound [BND-14]', async () => {
      const visitor = app.client();
      offeredChallenge(await visitor.login(ALICE.email, PASSWORD));
      offeredChallenge(await visitor.refresh());
      const steppedUp = await visitor.reauthenticate({ password: PASSWORD });
      expect((await key.register(visitor, steppedUp)).status).toBe(200);
      clock.advance(ANSWER_LOST);
      for (const answer of [await visitor.refresh(), await visitor.reauthenticate({ password: PASSWORD })]) {
        expect(answer.status).toBe(200);
        expect(answer.headers['secure-session-registration']).toBeUndefined();
      }
      expect((await session(visitor)).status).toBe(200);
      const app1 = await loggedIn(app, ALICE);
      expect((await app1.refresh()).headers['secure-session-registration']).toBeUndefined();
    });

    it('takes keys of both algorithms of the offer [BND-14]', async () => {
      const rsa = await DeviceKey.create('RS256');
      expect((await rsa.register(fresh, await fresh.refresh())).status).toBe(200);
      expect((await rsa.renew(fresh, fresh.id)).status).toBe(200);
      const other = await DeviceKey.create('ES384');
      const third = await loggedIn(app, ALICE, 'cookie');
      expect((await other.register(third, await third.refresh())).status).toBe(400);
    });

    it('needs an offer to this session that is still good, and a proof of the type of browsers [BND-14]', async () => {
      const answer = await fresh.refresh();
      const foreign = await (await loggedIn(app, ALICE, 'cookie')).refresh();
      expect((await key.register(fresh, foreign)).status).toBe(400);
      for (const options of [
        { header: { typ: 'jwt' } },
        { header: { typ: 'dpop+jwt' } },
        { header: { jwk: undefined } },
        { header: { jwk: (await DeviceKey.create()).jwk } },
        { payload: { jti: 'nonsense' } },
        { payload: { jti: fresh.jar.get(COOKIES.refresh) } },
        { payload: { jti: 7 } },
      ])
        expect(await key.register(fresh, answer, options)).toMatchObject({
          status: 400,
          body: { code: 'request.invalid' },
          setCookies: [],
        });
      for (const headers of [
        { 'secure-session-response': '' },
        { 'secure-session-response': 'x' },
        { 'secure-session-response': 'a'.repeat(9_000) },
      ])
        expect((await fresh.post('/v1/auth/binding/register', undefined, { headers })).status).toBe(400);
      clock.advance(10 * MINUTE);
      expect((await key.register(fresh, answer)).status).toBe(400);
      expect((await stored('device_key'))!.device_key).not.toBeNull();
    });

    it('accepts an audience in the proof, and a proof in quotation marks [BND-14]', async () => {
      const challenge = offeredChallenge(await fresh.refresh());
      const proof = await key.sign(challenge, { withKey: true, payload: { aud: 'https://example.com/x' } });
      const headers = { 'secure-session-response': `"${proof}"` };
      expect((await fresh.post('/v1/auth/binding/register', undefined, { headers })).status).toBe(200);
    });

    it('binds to one of two keys that arrive at once [BND-14]', async () => {
      const answer = await fresh.refresh();
      const keys = await Promise.all(Array.from({ length: 6 }, () => DeviceKey.create()));
      const answers = await Promise.all(
        keys.map((one, index) => one.register(fresh.copy().at(index % 2 ? app : other), answer)),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      for (const { status } of answers) expect([200, 401, 409]).toContain(status);
    });

    it('is void after a step-up: a copy from before it cannot bind the session [BND-14]', async () => {
      const answer = await fresh.refresh();
      const thief = fresh.copy();
      expect((await fresh.reauthenticate({ password: PASSWORD })).status).toBe(200);
      expect((await key.register(fresh, answer)).status).toBe(400);
      expect((await key.register(thief, answer)).status).toBe(401);
    });
  });

  it('leaves audit events for the binding, its end, and a refused refresh, and a mail about the end [BND-15]', async () => {
    await app.query(`delete from mails where template = 'device_key_removed'`);
    const lost = jarOf(owner);
    await lost.refresh();
    await lost.reauthenticate({ password: PASSWORD });
    const events = await app.query(
      `select type, details from audit_events where session_id = $1 and type like any('{session_%bound,%unproven}')
       order by id`,
      [owner.id],
    );
    expect(events).toEqual([
      { type: 'session_bound', details: { carrier: 'dbsc', replaced: false } },
      expect.objectContaining({ type: 'authn_device_key_unproven' }),
      { type: 'session_unbound', details: { carrier: 'dbsc', replaced: false } },
    ]);
    expect(await app.query(`select recipient from mails where template = 'device_key_removed'`)).toEqual([
      { recipient: ALICE.email },
    ]);
  });
});

describe('DEVICE_BINDING', () => {
  let app: TestApp;
  afterEach(() => app?.close());
  const startWith = async (setting: string) => {
    await resetStores();
    app = await startApp({ env: { DEVICE_BINDING: setting, CACHE_BUDGET: '1s' } });
    await app.query(`update users set roles = '{user,admin}' where id = $1`, [ADMIN.id]);
    return loggedIn(app, ADMIN, 'cookie');
  };

  it('require-for-admins: a privileged role applies only in a bound session [BND-16]', async () => {
    const admin = await startWith('require-for-admins');
    expect(await admin.get('/v1/admin/users')).toMatchObject({
      status: 403,
      body: { code: 'auth.device_key_required' },
    });
    expect((await admin.get('/v1/auth/whoami')).body.roles).toEqual(['user']);
    const key = await DeviceKey.create();
    expect((await key.register(admin, await admin.refresh())).status).toBe(200);
    expect((await admin.get('/v1/admin/users')).status).toBe(200);
    expect((await admin.get('/v1/auth/whoami')).body.roles).toEqual(['user', 'admin']);
    const alice = await loggedIn(app, ALICE, 'cookie');
    expect((await alice.get('/v1/sessions/current')).status).toBe(200);
  });

  it('off: nothing is offered, and the sessions of an earlier setting go on without their key [BND-17]', async () => {
    const admin = await startWith('offer');
    const key = await DeviceKey.create();
    const answer = await admin.refresh();
    expect((await key.register(admin, answer)).status).toBe(200);
    await app.close();
    app = await startApp({ env: { DEVICE_BINDING: 'off', CACHE_BUDGET: '1s' } });
    admin.at(app).jar.delete(COOKIES.bound);
    expect((await admin.get('/v1/sessions/current')).status).toBe(200);
    expect((await admin.get('/v1/auth/whoami')).status).toBe(200);
    const refreshed = await admin.refresh();
    expect(refreshed.status).toBe(200);
    expect((await renewal(admin, admin.id)).body).toMatchObject({ continue: false });
    const alice = await loggedIn(app, ALICE, 'cookie');
    const unbound = await alice.refresh();
    expect(unbound.headers['secure-session-registration']).toBeUndefined();
    expect((await key.register(alice, answer)).status).toBe(400);
  });
});

function cookieIn({ setCookies }: Answer): string {
  return setCookies.find((cookie) => cookie.startsWith(COOKIES.bound))!;
}
