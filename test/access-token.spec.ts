import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createPublicKey, generateKeyPairSync, randomUUID, verify as verifyBytes } from 'node:crypto';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { Jobs } from '../src/platform/jobs/jobs.js';
import { random } from '../src/platform/runtime/random.js';
import { mintTokenId, TOKEN_ID } from '../src/sessions/token-id.js';
import {
  ADMIN,
  ALICE,
  BOB,
  PASSWORD,
  resetStores,
  startApp,
  TEST_KEYS,
  type TestApp,
} from './support/app.js';
import type { Answer, Client } from './support/client.js';
import { HEADER, read, signed } from './support/forge.js';
import { malleate } from './support/forgeries.js';
import { PRODUCT } from '../src/product.js';
import { COOKIES } from './support/cookies.js';

const MINUTE = 60_000;
/** One route of the access tier, and one of the session tier. */
const TIERS = ['/v1/probe/flags', '/v1/users/me'];

/** The token on either transport. */
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const cookie = (token: string) => ({ cookie: `${COOKIES.access}=${token}` });
const TRANSPORTS = { bearer, cookie };

/** Real: PostgreSQL, the cache, the keys. `token-forgery.spec.ts` has the forged tokens. */
describe('an access token', () => {
  let app: TestApp;
  let alice: Client;
  let base: Record<string, unknown>;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { SESSION_LIMIT: '1000' } });
    alice = app.client();
    await alice.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    base = read(alice.accessToken!).claims;
  });
  afterAll(() => app.close());

  /** Claims of alice's live session, in a separate token. */
  const claims = (changes: object = {}) => ({ ...base, jti: mintTokenId(randomUUID()), ...changes });
  const show = (path: string, headers: Record<string, string>) => app.client().get(path, { headers });
  const tokenOf = (client: Client) => client.accessToken ?? client.jar.get(COOKIES.access)!;
  const seconds = () => Math.floor(app.clock.now() / 1_000);

  describe('as it is issued', () => {
    it.each(['bearer', 'cookie'])(
      'has exactly the claims of the contract, from login, refresh and reauthentication (%s) [TOK-01, TOK-02, TOK-03, TOK-06]',
      async (transport) => {
        const client = app.client();
        const login = await client.login(ALICE.email, PASSWORD, { transport });
        const tokens = [tokenOf(client)];
        const refreshed = await client.refresh();
        tokens.push(tokenOf(client));
        const proven = await client.post('/v1/auth/reauthenticate', { password: PASSWORD });
        tokens.push(proven.body.accessToken ?? tokenOf(client));

        for (const [index, answer] of [login, refreshed, proven].entries()) {
          expect(answer.status).toBe(200);
          const { header, claims } = read(tokens[index]!);
          expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: HEADER.kid });
          expect(claims).toEqual({
            iss: PRODUCT.slug,
            aud: PRODUCT.slug,
            sub: ALICE.id,
            sid: login.body.session.id,
            jti: expect.stringMatching(TOKEN_ID),
            iat: expect.any(Number),
            exp: expect.any(Number),
            roles: ['user'],
          });
          const life = (claims['exp'] as number) - (claims['iat'] as number);
          expect(life).toBe(900);
          const told = answer.body.expiresIn ?? answer.body.accessTokenExpiresIn;
          expect(told).toBeGreaterThan(0);
          expect(told).toBeLessThanOrEqual(life);
        }
        expect(new Set(tokens.map((token) => read(token).claims['jti'])).size).toBe(3);
      },
    );

    it('is read from its own claims, without a look-up', async () => {
      const answer = await show('/v1/auth/whoami', bearer(alice.accessToken!));
      expect(answer.body).toEqual({
        userId: ALICE.id,
        sessionId: base['sid'],
        roles: ['user'],
        expiresAt: new Date((base['exp'] as number) * 1_000).toISOString(),
      });
    });

    it('can be verified by any party with the published keys, which contain only the members for that [KEY-03]', async () => {
      const { status, body, headers } = await app.client().get('/.well-known/jwks.json');
      expect({ status, cache: headers['cache-control'] }).toEqual({
        status: 200,
        cache: 'public, max-age=300',
      });
      const coordinate = expect.stringMatching(/^[\w-]{43}$/);
      const members = {
        kty: 'EC',
        crv: 'P-256',
        x: coordinate,
        y: coordinate,
        kid: HEADER.kid,
        alg: 'ES256',
        use: 'sig',
      };
      expect(body).toEqual({ keys: [members] });

      const key = createPublicKey({ key: body.keys[0], format: 'jwk' });
      const [header, payload, signature] = alice.accessToken!.split('.');
      const isSigned = verifyBytes(
        'sha256',
        Buffer.from(`${header}.${payload}`),
        { key, dsaEncoding: 'ieee-p1363' },
        Buffer.from(signature!, 'base64url'),
      );
      expect(isSigned).toBe(true);
    });
  });

  describe('with a false claim and a valid signature', () => {
    it('for the session of another user, or for one that never existed, is refused on the session tier [SES-03]', async () => {
      const bob = app.client();
      const login = await bob.login(BOB.email, PASSWORD);
      for (const changes of [
        { sid: login.body.session.id },
        { sub: BOB.id },
        { sid: random.uuidAt(app.clock.now()) },
        { sub: randomUUID() },
        { sub: ADMIN.id, roles: ['user', 'admin'] },
      ]) {
        for (const present of Object.values(TRANSPORTS)) {
          const answer = await show('/v1/users/me', present(signed(HEADER, claims(changes))));
          expect(answer).toMatchObject({ status: 401, body: { code: 'auth.invalid_token' } });
        }
      }
    });

    it('that claims a recent proof of identity is not fresh: the stored session decides [STP-01]', async () => {
      const client = app.client();
      await client.login(BOB.email, PASSWORD, { transport: 'bearer' });
      app.clock.advance(6 * MINUTE);
      const now = seconds();
      const { claims: genuine } = read(client.accessToken!);
      const more = { auth_time: now, authenticated_at: now, acr: 'high', amr: ['pwd', 'otp'], max_age: 0 };
      const anew = { ...genuine, jti: mintTokenId(randomUUID()), iat: now, exp: now + 60 };
      const claiming = bearer(signed(HEADER, { ...anew, ...more }));
      expect(await show('/v1/users/me', claiming)).toMatchObject({
        status: 401,
        body: { code: 'auth.invalid_token' },
      });
      const token = signed(HEADER, anew);
      expect((await show('/v1/users/me', bearer(token))).status).toBe(200);
      const answer = await app
        .client()
        .post('/v1/auth/email/change', { email: 'x@example.com' }, { headers: bearer(token) });
      expect(answer).toMatchObject({ status: 401, body: { code: 'auth.reauthentication_required' } });
    });

    it('that claims a role the user lacks is refused: admin routes read the stored user [ADM-02]', async () => {
      const token = signed(HEADER, claims({ roles: ['user', 'admin'] }));
      const answer = await show('/v1/admin/users', bearer(token));
      expect(answer).toMatchObject({ status: 403, body: { code: 'auth.forbidden' } });
    });
  });

  describe('that has expired', () => {
    const expired = { status: 401, body: { code: 'auth.token_expired' } };

    it.each(['bearer', 'cookie'] as const)(
      'is refused from that second on, even if it was verified before, and the answer says that a refresh helps (%s) [TOK-12]',
      async (transport) => {
        const client = app.client();
        await client.login(ALICE.email, PASSWORD, { transport });
        const accessToken = tokenOf(client);
        for (const path of TIERS) expect((await client.get(path)).status).toBe(200);

        const exp = (read(accessToken).claims['exp'] as number) * 1_000;
        app.clock.advance(exp - app.clock.now() - 5_000);
        for (const path of TIERS) expect((await client.get(path)).status).toBe(200);
        app.clock.advance(5_000);
        for (const path of TIERS) {
          const answer = await show(path, TRANSPORTS[transport](accessToken));
          expect(answer).toMatchObject(expired);
          expect(answer.headers['www-authenticate']).toMatch(/^Bearer error="invalid_token"/);
        }
        expect((await client.refresh()).status).toBe(200);
        for (const path of TIERS) expect((await client.get(path)).status).toBe(200);
      },
    );

    it('is reported as expired only when it is authentic', async () => {
      const now = seconds();
      const past = { iat: now - 1_000, exp: now - 100 };
      const theirs = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
      expect(await show(TIERS[0]!, bearer(signed(HEADER, claims(past))))).toMatchObject(expired);
      for (const token of [
        signed(HEADER, claims(past), theirs),
        signed({ ...HEADER, typ: 'JWT' }, claims(past)),
        signed(HEADER, claims({ ...past, aud: 'other' })),
        signed(HEADER, claims({ ...past, iat: now - 1_002 })),
      ]) {
        expect(await show(TIERS[0]!, bearer(token))).toMatchObject({
          status: 401,
          body: { code: 'auth.invalid_token' },
        });
      }
    });
  });

  describe('that has been revoked', () => {
    it.each(['bearer', 'cookie'] as const)(
      'is refused in every spelling, even if it was verified before: the denial is by session, not by text (%s) [TOK-20, TOK-21]',
      async (transport) => {
        const client = app.client();
        await client.login(ALICE.email, PASSWORD, { transport });
        const present = TRANSPORTS[transport];
        const spellings = [tokenOf(client), malleate(tokenOf(client))];
        expect(spellings[0]).not.toBe(spellings[1]);
        expect(malleate(spellings[1]!)).toBe(spellings[0]);
        for (const token of spellings) {
          for (const path of TIERS) await show(path, present(token));
        }
        expect((await client.get(TIERS[0]!)).status).toBe(200);
        expect((await client.post('/v1/auth/logout')).status).toBe(204);
        for (const token of spellings) {
          for (const path of TIERS) {
            expect(await show(path, present(token))).toMatchObject({
              status: 401,
              body: { code: 'auth.session_ended', reason: 'logout' },
            });
          }
        }
      },
    );

    it('is denied alone by its jti, in every spelling, while its session continues [TOK-20]', async () => {
      const client = app.client();
      await client.login(ALICE.email, PASSWORD, { transport: 'bearer' });
      const spellings = [client.accessToken!, malleate(client.accessToken!)];
      for (const token of spellings) await show(TIERS[0]!, bearer(token));
      const admin = app.client();
      await admin.login(ADMIN.email, PASSWORD);
      const denied = await admin.delete(
        `/v1/admin/tokens/${read(client.accessToken!).claims['jti'] as string}`,
      );
      expect(denied).toMatchObject({ status: 200, body: { status: 'applied', endedSessions: 0 } });
      for (const token of spellings) {
        for (const path of TIERS) {
          expect(await show(path, bearer(token))).toMatchObject({
            status: 401,
            body: { code: 'auth.token_expired' },
          });
        }
      }
      expect((await client.refresh()).status).toBe(200);
      for (const path of TIERS) expect((await client.get(path)).status).toBe(200);
    });
  });
});

/** Real: PostgreSQL, the cache. */
describe('the token of a session that ends soon', () => {
  it.each([
    ['SESSION_LIFETIME', 'expiresAt'],
    ['SESSION_IDLE_TIMEOUT', 'idleExpiresAt'],
  ])('expires with it at the latest (%s) [REF-07, TOK-01]', async (setting, end) => {
    await resetStores();
    const app = await startApp({ env: { [setting]: '10m', LAST_SEEN_RESOLUTION: '1s' } });
    try {
      const client = app.client();
      const expectNoLonger = ({ body }: Answer) => {
        const exp = (read(client.accessToken!).claims['exp'] as number) * 1_000;
        expect(exp).toBeLessThanOrEqual(Date.parse(body.session[end]));
        expect(body.expiresIn).toBeLessThanOrEqual(600);
        expect(body.expiresIn).toBeGreaterThan(0);
        return exp;
      };
      const first = expectNoLonger(await client.login(ALICE.email, PASSWORD, { transport: 'bearer' }));
      app.clock.advance(8 * MINUTE);
      const answer = await client.refresh();
      expect(answer.status).toBe(200);
      const second = expectNoLonger(answer);
      // Use moves the idle end, and leaves the absolute end unchanged.
      if (setting === 'SESSION_LIFETIME') expect(second).toBe(first);
      else expect(second).toBeGreaterThan(first);
      app.clock.advance(second - app.clock.now());
      expect((await client.get('/v1/probe/flags')).status).toBe(401);
    } finally {
      await app.close();
    }
  });
});

/** Real: PostgreSQL, the cache. */
describe('when keys change', () => {
  it('tokens of the old key are good while it is listed, and no key verifies tokens of another [TOK-05]', async () => {
    await resetStores();
    const fresh = {
      kid: 'fresh-key',
      privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    };
    const old = TEST_KEYS.signing[0]!;
    const at = async (signing: (typeof fresh)[], visit: (app: TestApp) => Promise<void>) => {
      const app = await startApp({ keys: { ...TEST_KEYS, signing } });
      await visit(app).finally(() => app.close());
    };
    const flags = (app: TestApp, token: string) =>
      app.client().get('/v1/probe/flags', { headers: bearer(token) });

    let ofOldKey = '';
    await at([old], async (app) => {
      const client = app.client();
      await client.login(ALICE.email, PASSWORD, { transport: 'bearer' });
      ofOldKey = client.accessToken!;
    });
    await at([fresh, old], async (app) => {
      const client = app.client();
      await client.login(ALICE.email, PASSWORD, { transport: 'bearer' });
      expect(read(client.accessToken!).header['kid']).toBe('fresh-key');
      for (const token of [ofOldKey, client.accessToken!]) expect((await flags(app, token)).status).toBe(200);
      const { body } = await app.client().get('/.well-known/jwks.json');
      expect(body.keys.map(({ kid }: { kid: string }) => kid)).toEqual(['fresh-key', old.kid]);

      const { claims } = read(ofOldKey);
      const swapped = [
        signed({ ...HEADER, kid: 'fresh-key' }, claims),
        signed(HEADER, claims, fresh.privateKey),
      ];
      for (const token of swapped) expect((await flags(app, token)).body.code).toBe('auth.invalid_token');
    });
    await at([fresh], async (app) => {
      expect((await flags(app, ofOldKey)).body.code).toBe('auth.invalid_token');
    });
  });
});

/**
 * A tap between the application and a server. It records what the application sends, except the feed, which has a
 * connection of its own, and the heartbeat of its cache.
 */
async function listenIn(url: string, heard: string[]) {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const proxy = createTcpServer((client) => {
    let isFeed: boolean | undefined;
    client.on('data', (data) => {
      const text = data.toString('latin1');
      isFeed ??= text.includes(PRODUCT.applicationName.feed);
      if (!isFeed && !/^(\*2\r\n\$4\r\nINFO\r\n\$\d+\r\n\w+\r\n)+$/i.test(text)) heard.push(text);
    });
    const server = connect(Number(port), hostname);
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const tapped = new URL(url);
  tapped.hostname = '127.0.0.1';
  tapped.port = String((proxy.address() as AddressInfo).port);
  const close = () => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  };
  return { url: tapped.href, close };
}

/** Real: PostgreSQL and, where available, Redis, each behind a tap. */
describe('the access tier', () => {
  const heard: string[] = [];
  let app: TestApp;
  let postgres: Awaited<ReturnType<typeof listenIn>>;
  let redis: Awaited<ReturnType<typeof listenIn>> | undefined;

  beforeAll(async () => {
    await resetStores();
    const { TEST_DATABASE_URL, TEST_REDIS_URL } = process.env;
    postgres = await listenIn(TEST_DATABASE_URL!, heard);
    redis = TEST_REDIS_URL ? await listenIn(TEST_REDIS_URL, heard) : undefined;
    app = await startApp({ env: { DATABASE_URL: postgres.url, REDIS_URL: redis?.url } });
    // The jobs that run every second are no part of a request.
    app.get(Jobs).stop();
  });
  afterAll(async () => {
    await app.close();
    postgres.close();
    redis?.close();
  });

  it('queries no store, for any caller and any answer [TOK-09]', async () => {
    const [native, browser, gone] = [app.client(), app.client(), app.client()];
    await native.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    await browser.login(BOB.email, PASSWORD);
    await gone.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    const ended = gone.accessToken!;
    await gone.post('/v1/auth/logout');
    const now = Math.floor(app.clock.now() / 1_000);
    const { claims } = read(native.accessToken!);
    const expired = signed(HEADER, { ...claims, iat: now - 900, exp: now - 1 });

    heard.length = 0;
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => [
        native.get('/v1/probe/flags'),
        native.get('/v1/auth/whoami'),
        browser.get('/v1/probe/flags'),
        browser.get('/v1/auth/whoami'),
        native.get('/v1/probe/flags', {
          headers: bearer(signed(HEADER, { ...claims, jti: mintTokenId(randomUUID()) })),
        }),
        ...[ended, expired, 'forged'].map((token) =>
          app.client().get('/v1/auth/whoami', { headers: bearer(token) }),
        ),
      ]).flat(),
    );
    expect(heard).toEqual([]);
    const row = [200, 200, 200, 200, 200, 401, 401, 401];
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => row).flat());

    // The tap records the queries of the session tier; otherwise silence would prove nothing.
    expect((await native.get('/v1/users/me')).status).toBe(200);
    expect(heard.join()).toMatch(/select .* from .*users/is);
  });
});
