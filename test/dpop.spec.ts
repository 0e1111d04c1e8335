import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import * as dpop from 'dpop';
import { createHmac } from 'node:crypto';
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
import {
  athOf,
  DpopKey,
  HOME,
  LOGIN,
  REAUTHENTICATE,
  REFRESH,
  showing,
  type ProofChanges,
} from './support/dpop-key.js';
import { FaultProxy } from './support/fault-proxy.js';
import { holderOf, logInWith, PASSKEY_ENV, PASSKEY_LOGIN, PASSKEY_STEP_UP } from './support/passkeys.js';
import { complete, enrol } from './support/second-factor.js';
import { createUser, loggedIn } from './support/test-users.js';

const MINUTE = 60_000;
const UNPROVEN = { status: 401, body: { code: 'auth.reauthentication_required', deviceKey: 'unproven' } };
const INVALID = {
  status: 401,
  body: { code: 'auth.invalid_dpop_proof' },
  headers: { 'www-authenticate': 'DPoP error="invalid_dpop_proof", algs="ES256"' },
};
const NONCE_REQUIRED = {
  status: 401,
  body: { code: 'auth.dpop_nonce_required' },
  headers: {
    'www-authenticate': 'DPoP error="use_dpop_nonce", algs="ES256"',
    'dpop-nonce': expect.stringMatching(/^[\w-]{62}$/),
  },
};

const nonceIn = ({ headers }: Answer) => headers['dpop-nonce'] as string;
const session = (client: Client) => client.get('/v1/sessions/current');
const flags = (client: Client) => client.get('/v1/probe/flags');

/** Real: PostgreSQL, the cache, two instances. */
describe('a bearer session that is bound to a DPoP key', () => {
  let clock: TestClock;
  let app: TestApp;
  let other: TestApp;
  let key: DpopKey;
  let owner: Client;
  let id: string;

  beforeAll(async () => {
    await resetStores();
    clock = new StoppedClock();
    const env = { SESSION_LIMIT: '100' };
    [app, other] = [await startApp({ clock, env }), await startApp({ clock, env })];
    for (const one of [app, other]) holdBackgroundWork(one);
  });
  afterAll(() => Promise.all([app?.close(), other?.close()]));
  beforeEach(async () => {
    key = new DpopKey(clock);
    owner = app.client();
    const login = await key.login(owner, ALICE.email);
    expect(login.status).toBe(200);
    id = login.body.session.id;
  });

  const stored = async () =>
    (
      await app.query(
        `select rotation, key_version, superseded_keys, binding_version, device_key, status from sessions where id = $1`,
        [id],
      )
    )[0]!;
  const proofs = async () =>
    Number((await app.query('select count(*) from used_device_proofs'))[0]!['count']);
  /** A login with an unusual proof. */
  const loginWith = (changes: ProofChanges) => key.login(app.client(), ALICE.email, changes);

  it('begins with a login that carries a proof, stays of the type Bearer, and says that it is bound', async () => {
    expect(await session(owner)).toMatchObject({
      status: 200,
      body: { binding: { carrier: 'dpop', boundAt: new Date(clock.now()).toISOString() } },
    });
    const list: { id: string; binding?: object }[] = (await owner.get('/v1/sessions')).body.items;
    expect(list.find((one) => one.id === id)!.binding).toMatchObject({ carrier: 'dpop' });
    const { kty, crv, x, y } = key.jwk;
    expect((await stored())['device_key']).toEqual({ kty, crv, x, y });
    const refreshed = await key.refresh(owner);
    expect(refreshed).toMatchObject({ status: 200, body: { tokenType: 'Bearer' } });
  });

  it('works with its plain access token on both tiers, on every instance', async () => {
    for (const instance of [app, other]) {
      expect((await session(owner.at(instance))).status).toBe(200);
      expect((await flags(owner.at(instance))).status).toBe(200);
      expect((await key.refresh(owner)).status).toBe(200);
    }
  });

  it('is not bound by a login without a proof, and then needs none', async () => {
    const plain = app.client();
    const login = await plain.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    expect(login.body.session.binding).toBeUndefined();
    expect((await plain.refresh()).status).toBe(200);
    // A proof at the refresh does not bind it either: a thief of the refresh token could bind it to their own key.
    expect((await key.refresh(plain)).status).toBe(200);
    expect((await session(plain)).body.binding).toBeUndefined();
    expect((await plain.refresh()).status).toBe(200);
  });

  it('is refused a refresh without a proof or with another key, and nothing of it changes [BND-18]', async () => {
    const untouched = await stored();
    for (const instance of [app, other]) {
      const thief = owner.copy().at(instance);
      for (let time = 0; time < 3; time++) expect(await thief.refresh()).toMatchObject(UNPROVEN);
      const stranger = new DpopKey(clock);
      for (let time = 0; time < 3; time++) expect(await stranger.refresh(thief)).toMatchObject(UNPROVEN);
      expect(await key.refresh(thief, { header: { jwk: stranger.jwk } })).toMatchObject(INVALID);
    }
    expect(await stored()).toEqual(untouched);
    expect((await key.refresh(owner)).status).toBe(200);
    expect((await session(owner)).status).toBe(200);
  });

  it('gives a client without the key a token for the step-up alone [BND-22]', async () => {
    const thief = owner.copy();
    const { body } = await thief.refresh();
    thief.accessToken = body.accessToken;
    for (const instance of [app, other])
      for (const path of ['/v1/sessions/current', '/v1/probe/flags', '/v1/users/me', '/v1/auth/whoami'])
        expect(await thief.at(instance).get(path)).toMatchObject(UNPROVEN);
    expect(await thief.reauthenticate({ password: 'wrong password of a thief' })).toMatchObject({
      status: 401,
      body: { code: 'auth.invalid_credentials' },
    });
    expect((await session(owner)).status).toBe(200);
  });

  describe('the proof', () => {
    it.each<[string, ProofChanges]>([
      ['of another method', { claims: { htm: 'GET' } }],
      ['of another spelling of the method', { claims: { htm: 'post' } }],
      ['of another path', { claims: { htu: `${HOME}${REFRESH}` } }],
      ['of a path below', { claims: { htu: `${HOME}${LOGIN}/` } }],
      ['of another host', { claims: { htu: `http://evil.example${LOGIN}` } }],
      ['of another port', { claims: { htu: `http://localhost:81${LOGIN}` } }],
      ['of another scheme', { claims: { htu: `ftp://localhost${LOGIN}` } }],
      ['of a path alone', { claims: { htu: LOGIN } }],
      ['without a method', { claims: { htm: undefined } }],
      ['without a URL', { claims: { htu: undefined } }],
      ['without a time', { claims: { iat: undefined } }],
      ['with a time that is a text', { claims: { iat: '1' } }],
      ['without an id', { claims: { jti: undefined } }],
      ['with an empty id', { claims: { jti: '' } }],
      ['with a long id', { claims: { jti: 'x'.repeat(257) } }],
      ['with a nonce that is no text', { claims: { nonce: 7 } }],
      ['of another type', { header: { typ: 'jwt' } }],
      ['of the type of browsers', { header: { typ: 'dbsc+jwt' } }],
      ['without a type', { header: { typ: undefined } }],
      ['without a key', { header: { jwk: undefined } }],
      ['with the algorithm none', { header: { alg: 'none' }, signer: () => Buffer.alloc(0) }],
      ['with the algorithm none and a signature', { header: { alg: 'none' } }],
      ['with another algorithm', { header: { alg: 'ES384' } }],
      ['with a critical extension', { header: { crit: ['exp'] } }],
      ['with a signature of zeros', { signer: () => Buffer.alloc(64) }],
      ['that is too long', { claims: { padding: 'x'.repeat(6_200) } }],
    ])('is refused %s, and leaves no row', async (_name, changes) => {
      const before = await proofs();
      expect(await loginWith(changes)).toMatchObject(INVALID);
      expect(await proofs()).toBe(before);
    });

    it('is refused with a private key in it, with a symmetric key, and with the key of another signer [BND-19]', async () => {
      expect(await loginWith({ header: { jwk: key.privateJwk } })).toMatchObject(INVALID);
      const secret = Buffer.from('0123456789abcdef0123456789abcdef');
      const oct = { kty: 'oct', k: secret.toString('base64url') };
      for (const jwk of [oct, key.jwk]) {
        const signer = (input: Buffer) => createHmac('sha256', secret).update(input).digest();
        expect(await loginWith({ header: { alg: 'HS256', jwk }, signer })).toMatchObject(INVALID);
      }
      expect(await loginWith({ signer: new DpopKey(clock).sign })).toMatchObject(INVALID);
      expect(await loginWith({ header: { jwk: new DpopKey(clock).jwk } })).toMatchObject(INVALID);
    });

    it('is refused in two headers, in an empty one, and in every other form than a compact JWT [BND-19]', async () => {
      const proof = key.proof(LOGIN);
      const [header, claims, signature] = proof.split('.');
      const visitor = app.client();
      for (const dpop of [
        [proof, key.proof(LOGIN)],
        [proof, ''],
        '',
        'x',
        `"${proof}"`,
        `DPoP ${proof}`,
        `${proof}.`,
        `${header}.${claims}`,
        `${header}.${claims}.${signature}.${signature}`,
        `${header}=.${claims}.${signature}`,
        `${claims}.${header}.${signature}`,
      ])
        expect(await showing(visitor, dpop, () => loginOf(visitor))).toMatchObject(INVALID);
      expect((await showing(visitor, proof, () => loginOf(visitor))).status).toBe(200);
    });

    it('is accepted for our own URL in other spellings, with a query and a fragment', async () => {
      for (const htu of [
        `${HOME}${LOGIN}?a=b#c`,
        `HTTP://LOCALHOST:80${LOGIN}`,
        `http://localhost/v1/./x/../auth/login`,
      ])
        expect((await loginWith({ claims: { htu } })).body.session.binding.carrier).toBe('dpop');
    });

    it('needs the hash of the access token at a step-up, and of no other token [BND-19]', async () => {
      const withAth = (ath: unknown) =>
        key.reauthenticate(owner, { password: PASSWORD }, { claims: { ath } });
      const another = await loggedIn(app, ALICE);
      for (const ath of [undefined, '', 'x', athOf(another.accessToken!), athOf(`${owner.accessToken}x`), 7])
        expect(await withAth(ath)).toMatchObject(INVALID);
      expect((await key.reauthenticate(owner, { password: PASSWORD })).status).toBe(200);
      // Without an access token in the request, the claim says nothing.
      expect((await key.refresh(owner, { claims: { ath: 'x' } })).status).toBe(200);
    });

    it('is good for a minute in either direction, by the clock of the server [BND-19]', async () => {
      const now = () => Math.floor(clock.now() / 1_000);
      clock.advance(1_000 - (clock.now() % 1_000));
      for (const offset of [-60, 60, 0.5])
        expect((await loginWith({ claims: { iat: now() + offset } })).status).toBe(200);
      for (const offset of [-61, 61, -60.001, 60.001, -3_600, 1e9, -now()])
        expect(await loginWith({ claims: { iat: now() + offset } })).toMatchObject(NONCE_REQUIRED);
      const proof = key.proof(REFRESH);
      clock.advance(MINUTE + 1);
      const late = await showing(owner, proof, () => owner.refresh());
      expect(late).toMatchObject(NONCE_REQUIRED);
      expect((await key.refresh(owner)).status).toBe(200);
    });

    it('may have any time with a nonce of any instance, as long as the nonce is good [BND-21]', async () => {
      const wrongClock = { iat: Math.floor(clock.now() / 1_000) + 3_600 };
      const asked = await key.refresh(owner, { claims: wrongClock });
      expect(asked).toMatchObject(NONCE_REQUIRED);
      const claims = { ...wrongClock, nonce: nonceIn(asked) };
      expect((await key.refresh(owner.at(other), { claims })).status).toBe(200);
      expect((await key.refresh(owner.at(app), { claims })).status).toBe(200);
      clock.advance(5 * MINUTE - 1);
      expect((await key.refresh(owner, { claims })).status).toBe(200);
      clock.advance(1);
      const expired = await key.refresh(owner, { claims });
      expect(expired).toMatchObject(NONCE_REQUIRED);
      expect(nonceIn(expired)).not.toBe(nonceIn(asked));
    });

    it('is not judged by its time if it has a nonce: it cannot become acceptable a second time', async () => {
      const inAnHour = Math.floor(clock.now() / 1_000) + 3_600;
      const nonce = nonceIn(await key.refresh(owner, { claims: { iat: inAnHour } }));
      const proof = key.proof(REFRESH, { claims: { iat: inAnHour, nonce } });
      const captured = owner.copy();
      expect((await showing(owner, proof, () => owner.refresh())).status).toBe(200);
      clock.advance(60 * MINUTE);
      expect(await showing(captured, proof, () => captured.refresh())).toMatchObject(NONCE_REQUIRED);
    });

    it('is refused with a nonce that was forged, changed or is of another purpose [BND-21]', async () => {
      const nonce = nonceIn(await key.refresh(owner, { claims: { iat: 0 } }));
      const bytes = Buffer.from(nonce, 'base64url');
      const forged = [...bytes.keys()].map((index) => {
        const changed = Buffer.from(bytes);
        changed[index]! ^= 1;
        return changed.toString('base64url');
      });
      for (const text of [...forged, '', 'x', `${nonce}A`, nonce.slice(1), '!'.repeat(62)])
        expect(await key.refresh(owner, { claims: { nonce: text } })).toMatchObject(NONCE_REQUIRED);
    });
  });

  describe('a proof that was used', () => {
    it('is refused on the same and on another instance, also with a nonce [BND-20]', async () => {
      const nonce = nonceIn(await key.refresh(owner, { claims: { iat: 0 } }));
      for (const claims of [{}, { nonce, iat: 0 }]) {
        const proof = key.proof(REFRESH, { claims });
        const captured = owner.copy();
        expect((await showing(owner, proof, () => owner.refresh())).status).toBe(200);
        for (const instance of [app, other])
          expect(await showing(captured, proof, () => captured.at(instance).refresh())).toMatchObject(
            INVALID,
          );
        clock.advance(50_000);
        for (const instance of [app, other])
          expect(await showing(captured, proof, () => captured.at(instance).refresh())).toMatchObject(
            INVALID,
          );
      }
    });

    it('is refused in another request of its client, but the id may be that of another key', async () => {
      const claims = { jti: 'always the same' };
      expect((await key.refresh(owner, { claims })).status).toBe(200);
      expect(await key.refresh(owner, { claims })).toMatchObject(INVALID);
      const another = new DpopKey(clock);
      expect((await another.login(app.client(), ALICE.email, { claims })).status).toBe(200);
    });

    it('is accepted once when it arrives twenty times at once, at two instances [BND-20]', async () => {
      const proof = key.proof(REFRESH);
      const before = await stored();
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) => {
          const copy = owner.copy().at(index % 2 ? app : other);
          return showing(copy, proof, () => copy.refresh());
        }),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      for (const answer of answers.filter(({ status }) => status !== 200))
        expect(answer).toMatchObject(INVALID);
      expect((await stored())['key_version']).toEqual(before['key_version']);
    });

    it('is forgotten when it has expired, by the next proof', async () => {
      const expiry = async () =>
        (await app.query<{ expires_at: Date }>('select expires_at from used_device_proofs order by 1')).map(
          ({ expires_at }) => expires_at.getTime(),
        );
      await app.query('truncate used_device_proofs');
      const iat = Math.floor(clock.now() / 1_000);
      expect((await key.refresh(owner, { claims: { iat } })).status).toBe(200);
      // The end of the window, and ten seconds for clocks that differ.
      expect(await expiry()).toEqual([iat * 1_000 + 70_000]);
      const nonce = nonceIn(await key.refresh(owner, { claims: { iat: 0 } }));
      const noncesEnd = clock.now() + 5 * MINUTE;
      expect((await key.refresh(owner, { claims: { iat, nonce } })).status).toBe(200);
      expect(await expiry()).toEqual([iat * 1_000 + 70_000, noncesEnd + 10_000]);
      clock.advance(70_001);
      expect((await key.refresh(owner)).status).toBe(200);
      expect(await expiry()).toHaveLength(2);
      clock.advance(6 * MINUTE);
      expect((await key.refresh(owner)).status).toBe(200);
      expect(await expiry()).toHaveLength(1);
    });
  });

  describe('when the client has lost the key', () => {
    it('goes on after a step-up in place, which binds it to the key of a new proof [BND-22]', async () => {
      clock.advance(16 * MINUTE);
      const lost = owner.copy();
      const anew = new DpopKey(clock);
      const refused = await anew.refresh(lost);
      expect(refused).toMatchObject(UNPROVEN);
      lost.accessToken = refused.body.accessToken;
      const stepUp = await anew.reauthenticate(lost, { password: PASSWORD });
      expect(stepUp).toMatchObject({ status: 200, body: { session: { id, binding: { carrier: 'dpop' } } } });
      expect((await session(lost)).status).toBe(200);
      expect((await flags(lost)).status).toBe(200);
      expect((await anew.refresh(lost)).status).toBe(200);
      // The former key is worth nothing any more.
      expect(await key.refresh(lost)).toMatchObject(UNPROVEN);
      expect(await key.refresh(owner)).toMatchObject({ status: 401 });
      expect((await stored())['device_key']).toMatchObject({ x: anew.jwk['x'] });
    });

    it('goes on without a key after a step-up without a proof', async () => {
      const lost = owner.copy();
      lost.accessToken = (await lost.refresh()).body.accessToken;
      const stepUp = await lost.reauthenticate({ password: PASSWORD });
      expect(stepUp).toMatchObject({ status: 200, body: { session: { id } } });
      expect(stepUp.body.session.binding).toBeUndefined();
      expect((await lost.refresh()).status).toBe(200);
    });

    it('needs the second factor again in a session that began with one, not the password alone', async () => {
      const { email } = await createUser(app);
      const { phone } = await enrol(app, await loggedIn(app, { email }));
      const careful = app.client();
      const { body } = await careful.login(email, PASSWORD, { transport: 'bearer' });
      const code = phone.nextCode();
      const done = await showing(careful, key.proof(`${LOGIN}/mfa`), () =>
        complete(careful, body.challengeToken, code),
      );
      expect(done).toMatchObject({ status: 200, body: { session: { binding: { carrier: 'dpop' } } } });
      const lost = careful.copy();
      const anew = new DpopKey(clock);
      lost.accessToken = (await anew.refresh(lost)).body.accessToken;
      expect(await anew.reauthenticate(lost, { password: PASSWORD })).toMatchObject({
        ...UNPROVEN,
        body: { bySecondFactor: true },
      });
      expect((await key.refresh(careful)).status).toBe(200);
      lost.accessToken = (await anew.refresh(lost)).body.accessToken;
      expect((await anew.reauthenticate(lost, { code: phone.nextCode() })).status).toBe(200);
      expect((await anew.refresh(lost)).status).toBe(200);
    });
  });

  it('keeps its key after a step-up with a proof of it, and an unbound session gets the key of such a proof', async () => {
    const boundAt = (await session(owner)).body.binding.boundAt;
    clock.advance(MINUTE);
    expect((await key.reauthenticate(owner, { password: PASSWORD })).status).toBe(200);
    expect((await session(owner)).body.binding.boundAt).toBe(boundAt);
    const plain = await loggedIn(app, ALICE);
    expect((await key.reauthenticate(plain, { password: PASSWORD })).status).toBe(200);
    expect((await session(plain)).body.binding.carrier).toBe('dpop');
    expect(await plain.refresh()).toMatchObject(UNPROVEN);
    expect((await key.refresh(plain)).status).toBe(200);
  });

  it('leaves audit events for the binding, a new key, and a refused refresh', async () => {
    const lost = owner.copy();
    const anew = new DpopKey(clock);
    lost.accessToken = (await anew.refresh(lost)).body.accessToken;
    await anew.reauthenticate(lost, { password: PASSWORD });
    const events = await app.query(
      `select type, details from audit_events where session_id = $1 and type like any('{session_%bound,%unproven}')
       order by id`,
      [id],
    );
    expect(events).toEqual([
      expect.objectContaining({ type: 'authn_device_key_unproven' }),
      { type: 'session_bound', details: { carrier: 'dpop', replaced: true } },
    ]);
  });

  it('tells the user by mail that a new key has taken the place of the key, and only then [BND-15]', async () => {
    const mails = () => app.query(`select recipient from mails where template = 'device_key_removed'`);
    await app.query('delete from mails');
    const client = app.client();
    await key.login(client, ALICE.email);
    expect((await key.reauthenticate(client, { password: PASSWORD })).status).toBe(200);
    const plain = app.client();
    await plain.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    expect((await key.reauthenticate(plain, { password: PASSWORD })).body.session.binding).toBeDefined();
    expect(await mails()).toEqual([]);
    const anew = new DpopKey(clock);
    client.accessToken = (await anew.refresh(client)).body.accessToken;
    expect((await anew.reauthenticate(client, { password: PASSWORD })).status).toBe(200);
    expect(await mails()).toEqual([{ recipient: ALICE.email }]);
  });

  it('has nothing to do with a browser: on the cookie transport the header is ignored', async () => {
    const browser = app.client();
    const answer = await showing(browser, 'nonsense', () => browser.login(ALICE.email, PASSWORD));
    expect(answer.status).toBe(200);
    expect(answer.body.session.binding).toBeUndefined();
    expect((await showing(browser, 'nonsense', () => browser.refresh())).status).toBe(200);
    const stepUp = showing(browser, 'nonsense', () => browser.reauthenticate({ password: PASSWORD }));
    expect((await stepUp).status).toBe(200);
    expect((await session(browser)).body.binding).toBeUndefined();
  });
});

describe('DPoP', () => {
  let app: TestApp;
  afterEach(() => app?.close());
  const startWith = async (env: Record<string, string>) => {
    await resetStores();
    app = await startApp({ env });
    await app.query(`update users set roles = '{user,admin}' where id = $1`, [ADMIN.id]);
    return new DpopKey(app.clock);
  };

  it('with DEVICE_BINDING=require-for-admins, gives a bearer session of an admin its role', async () => {
    const key = await startWith({ DEVICE_BINDING: 'require-for-admins' });
    const plain = app.client();
    await plain.login(ADMIN.email, PASSWORD, { transport: 'bearer' });
    expect(await plain.get('/v1/admin/users')).toMatchObject({
      status: 403,
      body: { code: 'auth.device_key_required' },
    });
    expect((await plain.get('/v1/auth/whoami')).body.roles).toEqual(['user']);
    const bound = app.client();
    await key.login(bound, ADMIN.email);
    expect((await bound.get('/v1/admin/users')).status).toBe(200);
    expect((await bound.get('/v1/auth/whoami')).body.roles).toEqual(['user', 'admin']);
    expect((await key.reauthenticate(plain, { password: PASSWORD })).status).toBe(200);
    expect((await plain.get('/v1/admin/users')).status).toBe(200);
  });

  it('is understood from the package "dpop", at login, refresh and step-up, also with its clock an hour slow [BND-19]', async () => {
    await startWith({});
    const keys = await dpop.generateKeyPair('ES256');
    const client = app.client();
    const call = async (path: string, body: Record<string, unknown>, nonce?: string): Promise<Answer> => {
      const shown = path === REFRESH ? undefined : client.accessToken;
      const proof = await dpop.generateProof(keys, HOME + path, 'POST', nonce, shown);
      return showing(client, proof, () =>
        path === LOGIN
          ? client.login(ALICE.email, PASSWORD, body)
          : path === REFRESH
            ? client.refresh()
            : client.reauthenticate(body),
      );
    };
    expect(await call(LOGIN, { transport: 'bearer' })).toMatchObject({
      status: 200,
      body: { session: { binding: { carrier: 'dpop' } } },
    });
    expect(await client.copy().refresh()).toMatchObject(UNPROVEN);
    expect((await call(REFRESH, {})).status).toBe(200);
    expect((await call(REAUTHENTICATE, { password: PASSWORD })).status).toBe(200);
    app.clock.advance(60 * MINUTE);
    const late = await call(REFRESH, {});
    expect(late).toMatchObject(NONCE_REQUIRED);
    expect((await call(REFRESH, {}, nonceIn(late))).status).toBe(200);
    expect((await session(client)).status).toBe(200);
  });

  it('with DEVICE_BINDING=off, is ignored, and bound sessions of an earlier setting go on without it', async () => {
    const key = await startWith({ DEVICE_BINDING: 'offer' });
    const bound = app.client();
    await key.login(bound, ALICE.email);
    await app.close();
    app = await startApp({ env: { DEVICE_BINDING: 'off' } });
    expect((await bound.at(app).refresh()).status).toBe(200);
    expect((await bound.get('/v1/sessions/current')).status).toBe(200);
    const visitor = app.client();
    const login = await showing(visitor, 'nonsense', () => loginOf(visitor));
    expect(login.status).toBe(200);
    expect(login.body.session.binding).toBeUndefined();
  });

  it('is for the origin of APP_URL, or for the host of the request with its scheme', async () => {
    const key = await startWith({ APP_URL: 'https://app.example.com/account' });
    const loginAt = (origin: string, headers = {}) => {
      const client = Object.assign(app.client(), { headers });
      return key.login(client, ALICE.email, { claims: { htu: `${origin}${LOGIN}` } });
    };
    for (const origin of [
      'https://app.example.com',
      'https://APP.example.com:443',
      'https://app.example.com.',
    ])
      expect((await loginAt(origin)).status).toBe(200);
    expect((await loginAt('https://api.example.com', { host: 'api.example.com' })).status).toBe(200);
    for (const origin of ['http://app.example.com', 'https://evil.example', 'https://app.example.com:8443'])
      expect(await loginAt(origin)).toMatchObject(INVALID);
    expect(await loginAt('http://api.example.com', { host: 'api.example.com' })).toMatchObject(INVALID);
  });

  it('binds a session that begins with a passkey, and proves its key at a step-up with one', async () => {
    const key = await startWith({ ...PASSKEY_ENV, DEVICE_BINDING: 'offer' });
    const { key: authenticator } = await holderOf(app, ALICE.email);
    const client = app.client();
    const login = await showing(client, key.proof(PASSKEY_LOGIN, atApp(PASSKEY_LOGIN)), () =>
      logInWith(client, authenticator),
    );
    expect(login).toMatchObject({ status: 200, body: { session: { binding: { carrier: 'dpop' } } } });
    expect(await client.refresh()).toMatchObject(UNPROVEN);
    const options = await client.post(`${PASSKEY_STEP_UP}/options`);
    const response = authenticator.get(options.body);
    const ath = athOf(client.accessToken!);
    const proof = key.proof(PASSKEY_STEP_UP, atApp(PASSKEY_STEP_UP, { ath }));
    const stepUp = await showing(client, proof, () => client.post(PASSKEY_STEP_UP, { response }));
    expect(stepUp).toMatchObject({ status: 200, body: { session: { binding: { carrier: 'dpop' } } } });
  });

  it('answers 503 while PostgreSQL is down, never that the proof is wrong', async () => {
    await resetStores();
    const proxy = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
    app = await startApp({ env: { DATABASE_URL: proxy.url } });
    const key = new DpopKey(app.clock);
    const client = app.client();
    await key.login(client, ALICE.email);
    proxy.cut();
    expect(await key.refresh(client)).toMatchObject({ status: 503, body: { code: 'auth.unavailable' } });
    proxy.heal();
    await app.close();
    await proxy.close();
    app = await startApp();
    expect((await key.refresh(client.at(app))).status).toBe(200);
  });

  it('is in the CORS rules for trusted origins: they may send proofs, and read nonces', async () => {
    const key = await startWith({ TRUSTED_ORIGINS: 'https://shop.example.com' });
    const headers = { origin: 'https://shop.example.com' };
    const preflight = await app.client().request('OPTIONS', LOGIN, {
      headers: {
        ...headers,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,dpop',
      },
    });
    expect(preflight.headers['access-control-allow-headers']).toContain('DPoP');
    const page = Object.assign(app.client(), { headers });
    const answer = await key.login(page, ALICE.email, { claims: { iat: 0 } });
    expect(answer).toMatchObject(NONCE_REQUIRED);
    expect(answer.headers['access-control-expose-headers']).toContain('DPoP-Nonce');
    const claims = { iat: 0, nonce: nonceIn(answer) };
    expect((await key.login(page, ALICE.email, { claims })).status).toBe(200);
  });
});

function loginOf(client: Client): Promise<Answer> {
  return client.login(ALICE.email, PASSWORD, { transport: 'bearer' });
}

function atApp(path: string, claims = {}): ProofChanges {
  return { claims: { htu: `https://app.example.com${path}`, ...claims } };
}
