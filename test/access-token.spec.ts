import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  sign as signBytes,
  verify as verifyBytes,
  type KeyObject,
} from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { AccessTokens } from '../src/auth/access-tokens.js';
import { LastSeenService } from '../src/sessions/last-seen.service.js';
import { RevocationRelay } from '../src/sessions/revocation-relay.js';
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
import { encode, HEADER, read, signatureOf, signed } from './support/forge.js';

const MINUTE = 60_000;
const OUR_KEY = TEST_KEYS.signing[0]!.privateKey;
/** One route of the tier that looks nothing up, and one that does. */
const TIERS = ['/v1/feature-flags', '/v1/users/me'];

/** The token on either transport. */
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const cookie = (token: string) => ({ cookie: `__Host-access=${token}` });
const TRANSPORTS = { bearer, cookie };

/** Everything that a caller can see of an answer, but for what names the request. */
function visible({ status, headers, body }: Answer) {
  const { 'x-request-id': _id, date: _date, ...rest } = headers;
  const { requestId: _request, instance: _instance, ...said } = body as Record<string, unknown>;
  return { status, headers: rest, body: said };
}

/** The other signature that the same key and content have: (r, n − s). */
function malleate(token: string): string {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const [header, claims, signature] = token.split('.');
  const bytes = Buffer.from(signature!, 'base64url');
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const other = Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex');
  return `${header}.${claims}.${Buffer.concat([bytes.subarray(0, 32), other]).toString('base64url')}`;
}

/** Real: PostgreSQL, the cache, the keys. Forged: what is sent. */
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

  /** Claims of alice's living session, in a token of its own. */
  const claims = (changes: object = {}) => ({ ...base, jti: mintTokenId(randomUUID()), ...changes });
  const show = (path: string, headers: Record<string, string>) => app.client().get(path, { headers });
  const tokenOf = (client: Client) => client.accessToken ?? client.jar.get('__Host-access')!;
  const seconds = () => Math.floor(app.clock.now() / 1_000);

  describe('as it is issued', () => {
    it.each(['bearer', 'cookie'])(
      'says who and until when and nothing else, from login, refresh and reauthentication (%s) [TOK-01, TOK-02, TOK-03, TOK-06]',
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
            iss: 'drawbridge',
            aud: 'drawbridge',
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

    it('is read back as it stands, without a look at anything else', async () => {
      const answer = await show('/v1/auth/whoami', bearer(alice.accessToken!));
      expect(answer.body).toEqual({
        userId: ALICE.id,
        sessionId: base['sid'],
        roles: ['user'],
        expiresAt: new Date((base['exp'] as number) * 1_000).toISOString(),
      });
    });

    it('can be verified by anybody with the published keys, which say no more than that takes [KEY-03]', async () => {
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

  describe('that is forged', () => {
    let listener: Server;
    let overheard = 0;
    let refusal: ReturnType<typeof visible>;

    beforeAll(async () => {
      listener = createServer((_request, response) => response.end('{}')).on(
        'connection',
        () => (overheard += 1),
      );
      await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
      refusal = visible(await show(TIERS[0]!, bearer('x')));
    });
    afterAll(() => new Promise((resolve) => listener.close(resolve)));

    /** Every kind on every tier and transport: one answer, that says nothing of what was wrong. */
    async function expectRefused(forgeries: Record<string, string>): Promise<void> {
      const cached = () => (app.get(AccessTokens) as unknown as { verified: { size: number } }).verified.size;
      const before = cached();
      for (const [kind, token] of Object.entries(forgeries)) {
        for (const path of TIERS) {
          for (const [transport, present] of Object.entries(TRANSPORTS)) {
            const answer = visible(await show(path, present(token)));
            expect({ kind, path, transport, ...answer }).toEqual({ kind, path, transport, ...refusal });
          }
        }
      }
      expect(cached()).toBe(before);
    }

    const hmac = (alg: string, secret: Buffer | string) => {
      const content = `${encode({ ...HEADER, alg })}.${encode(claims())}`;
      const digest = createHmac(alg.replace('HS', 'sha'), secret).update(content).digest('base64url');
      return `${content}.${digest}`;
    };
    const signedWith = (header: object, key: KeyObject, hash: string) => {
      const content = `${encode(header)}.${encode(claims())}`;
      const signature = signBytes(hash, Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' });
      return `${content}.${signature.toString('base64url')}`;
    };

    it('would be let in if nothing were wrong with it, or the tests below would prove nothing', async () => {
      for (const path of TIERS) {
        for (const present of Object.values(TRANSPORTS)) {
          expect((await show(path, present(signed(HEADER, claims())))).status).toBe(200);
        }
      }
    });

    it('is refused as one says a token must be refused (RFC 6750 3.1) [TOK-17]', () => {
      expect(refusal).toMatchObject({
        status: 401,
        body: { code: 'auth.invalid_token' },
        headers: { 'www-authenticate': 'Bearer error="invalid_token"', 'cache-control': 'no-store' },
      });
      expect(refusal.headers).not.toHaveProperty('set-cookie');
    });

    it('without a signature, however that is spelled [TOK-04, TOK-17]', async () => {
      const forgeries: Record<string, string> = {};
      for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
        const content = `${encode({ ...HEADER, alg })}.${encode(claims())}`;
        forgeries[`alg "${alg}", no signature`] = `${content}.`;
        forgeries[`alg "${alg}", two segments`] = content;
        forgeries[`alg "${alg}", our signature`] = `${content}.${signatureOf(content, OUR_KEY)}`;
      }
      const content = `${encode(HEADER)}.${encode(claims())}`;
      forgeries['ES256, no signature'] = `${content}.`;
      forgeries['ES256, zeros (r = s = 0)'] = `${content}.${Buffer.alloc(64).toString('base64url')}`;
      forgeries['ES256, r and s as long as they may be'] =
        `${content}.${Buffer.alloc(64, 255).toString('base64url')}`;
      await expectRefused(forgeries);
    });

    it('with our public key as if it were a shared secret [TOK-04, TOK-17]', async () => {
      const publicKey = createPublicKey(OUR_KEY);
      const { body } = await app.client().get('/.well-known/jwks.json');
      const secrets = {
        'the PEM': publicKey.export({ type: 'spki', format: 'pem' }),
        'the PEM without its last line end': publicKey
          .export({ type: 'spki', format: 'pem' })
          .toString()
          .trim(),
        'the DER': publicKey.export({ type: 'spki', format: 'der' }),
        'the JWK': JSON.stringify(body.keys[0]),
        'the JWKS': JSON.stringify(body),
        'its x': body.keys[0].x as string,
        nothing: '',
      };
      const forgeries: Record<string, string> = {};
      for (const [what, secret] of Object.entries(secrets)) {
        for (const alg of ['HS256', 'HS384', 'HS512']) forgeries[`${alg} with ${what}`] = hmac(alg, secret);
      }
      await expectRefused(forgeries);
    });

    it('with another key or another algorithm [TOK-04, TOK-05, TOK-17]', async () => {
      const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
      const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
      const theirs = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
      const content = `${encode(HEADER)}.${encode(claims())}`;
      const der = signBytes('sha256', Buffer.from(content), OUR_KEY).toString('base64url');
      await expectRefused({
        RS256: signedWith({ ...HEADER, alg: 'RS256' }, rsa, 'sha256'),
        'RS256 that says ES256': signedWith(HEADER, rsa, 'sha256'),
        ES384: signedWith({ ...HEADER, alg: 'ES384' }, p384, 'sha384'),
        'ES384 by our own key': signedWith({ ...HEADER, alg: 'ES384' }, OUR_KEY, 'sha384'),
        'ES384 by our own key that says ES256': signedWith(HEADER, OUR_KEY, 'sha384'),
        ES256K: signedWith({ ...HEADER, alg: 'ES256K' }, OUR_KEY, 'sha256'),
        'lower case': signedWith({ ...HEADER, alg: 'es256' }, OUR_KEY, 'sha256'),
        'a list of algorithms': signedWith({ ...HEADER, alg: ['ES256'] }, OUR_KEY, 'sha256'),
        'no algorithm': signedWith({ typ: HEADER.typ, kid: HEADER.kid }, OUR_KEY, 'sha256'),
        "a stranger's key": signed(HEADER, claims(), theirs),
        'our signature in DER': `${content}.${der}`,
        'our signature of another token': `${content}.${alice.accessToken!.split('.')[2]}`,
        'our token with other claims': [
          alice.accessToken!.split('.')[0],
          encode(claims({ roles: ['admin'] })),
          alice.accessToken!.split('.')[2],
        ].join('.'),
      });
    });

    it('of another kind, though we signed it (typ) [TOK-10, TOK-17]', async () => {
      const forgeries: Record<string, string> = {
        'no typ': signed({ alg: HEADER.alg, kid: HEADER.kid }, claims()),
      };
      for (const typ of [
        'JWT',
        'jwt',
        'rt+jwt',
        'dpop+jwt',
        'AT+JWT',
        'application/at+jwt',
        'at+jwt;x',
        '',
        null,
        ['at+jwt'],
      ]) {
        forgeries[`typ ${JSON.stringify(typ)}`] = signed({ ...HEADER, typ }, claims());
      }
      await expectRefused(forgeries);
    });

    it('that names a key which we do not have, or no key at all (kid) [TOK-09, TOK-17]', async () => {
      const forgeries: Record<string, string> = {
        'no kid': signed({ alg: HEADER.alg, typ: HEADER.typ }, claims()),
      };
      for (const kid of [
        'another-key',
        HEADER.kid.toUpperCase(),
        `${HEADER.kid} `,
        `${HEADER.kid}\0`,
        '',
        '../../../../dev/null',
        '/proc/self/environ',
        'file:///etc/passwd',
        `http://127.0.0.1:${(listener.address() as AddressInfo).port}/key`,
        "x' union select 'secret' -- ",
        '$(id)',
        '__proto__',
        'constructor',
        'a'.repeat(65),
        0,
        true,
        null,
        [HEADER.kid],
        { kid: HEADER.kid },
      ]) {
        forgeries[`kid ${JSON.stringify(kid)}`] = signed({ ...HEADER, kid }, claims());
      }
      await expectRefused(forgeries);
    });

    it('that brings its own key or wants a rule changed; and nobody is called to ask [TOK-08, TOK-14, TOK-17]', async () => {
      const theirs = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const jwk = theirs.publicKey.export({ format: 'jwk' });
      const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/jwks.json`;
      const members: Record<string, unknown> = {
        jwk: { ...jwk, kid: HEADER.kid },
        jku: url,
        x5u: url,
        x5c: ['MIIB'],
        x5t: 'AAAA',
        'x5t#S256': 'AAAA',
        crit: [],
        b64: false,
        zip: 'DEF',
        cty: 'JWT',
        enc: 'A256GCM',
        epk: jwk,
        p2c: 1_000_000_000,
        iss: 'drawbridge',
        url,
      };
      const forgeries: Record<string, string> = {};
      for (const [name, value] of Object.entries(members)) {
        forgeries[`${name}, by a stranger`] = signed(
          { ...HEADER, [name]: value },
          claims(),
          theirs.privateKey,
        );
        forgeries[`${name}, by us`] = signed({ ...HEADER, [name]: value }, claims());
        forgeries[`${name} and crit`] = signed({ ...HEADER, [name]: value, crit: [name] }, claims());
      }
      await expectRefused(forgeries);
      expect(overheard).toBe(0);
    });

    it.each(['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp', 'roles'])(
      'that has no %s, or something else in its place [TOK-11, TOK-12, TOK-13, TOK-17]',
      async (name) => {
        const { [name]: value, ...rest } = claims() as Record<string, unknown>;
        const others = [
          null,
          0,
          -1,
          1.5,
          true,
          '',
          ' ',
          '\0',
          `${value as string}\0`,
          [],
          [value],
          {},
          { $ne: null },
        ];
        const forgeries: Record<string, string> = { missing: signed(HEADER, rest) };
        for (const other of others) {
          if (name === 'roles' && Array.isArray(other) && other.length === 0) continue; // nobody's rights: harmless
          forgeries[JSON.stringify(other)] = signed(HEADER, { ...rest, [name]: other });
        }
        await expectRefused(forgeries);
      },
    );

    it('of another issuer or for another audience [TOK-11, TOK-17]', async () => {
      const forgeries: Record<string, string> = {};
      for (const name of ['iss', 'aud']) {
        for (const other of [
          'drawbridg',
          'drawbridge/',
          'Drawbridge',
          ' drawbridge',
          'https://drawbridge',
          'other',
        ]) {
          forgeries[`${name} "${other}"`] = signed(HEADER, claims({ [name]: other }));
        }
      }
      forgeries['several audiences, ours among them'] = signed(
        HEADER,
        claims({ aud: ['other', 'drawbridge'] }),
      );
      await expectRefused(forgeries);
    });

    it('of another time [TOK-12, TOK-17]', async () => {
      const now = seconds();
      await expectRefused({
        'issued in the future': signed(HEADER, claims({ iat: now + 60, exp: now + 120 })),
        'good for a second too long': signed(HEADER, claims({ iat: now, exp: now + 901 })),
        'good for a century': signed(HEADER, claims({ iat: now, exp: now + 3_155_760_000 })),
        'good for ever': signed(HEADER, JSON.stringify(claims()).replace(String(base['exp']), '1e400')),
        'over before it began': signed(HEADER, claims({ iat: now, exp: now - 1 })),
        'not before tomorrow': signed(HEADER, claims({ nbf: now + 86_400 })),
        'not before some day': signed(HEADER, claims({ nbf: 'tomorrow' })),
        'with a fraction': signed(HEADER, claims({ exp: now + 60.5 })),
        'as text': signed(HEADER, claims({ exp: String(now + 60) })),
      });
      const soon = signed(HEADER, claims({ nbf: now - 1 }));
      expect((await show(TIERS[0]!, bearer(soon))).status).toBe(200);
    });

    it('in another spelling than the canonical one [TOK-15, TOK-16, TOK-17]', async () => {
      const token = signed(HEADER, claims());
      const [header, payload, signature] = token.split('.') as [string, string, string];
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const respelled = signature.slice(0, -1) + alphabet[alphabet.indexOf(signature.at(-1)!) + 1];
      expect(Buffer.from(respelled, 'base64url')).toEqual(Buffer.from(signature, 'base64url'));
      await expectRefused({
        'unused bits that are set': `${header}.${payload}.${respelled}`,
        padding: `${token}=`,
        'padding inside': `${header}=.${payload}.${signature}`,
        'the other alphabet': `${header}.${payload}.${Buffer.from(signature, 'base64url').toString('base64').replace(/=+$/, '+')}`,
        'a dot behind': `${token}.`,
        'a dot before': `.${token}`,
        twice: `${token}.${token}`,
        'a quote around': `"${token}"`,
        'percent signs': token.replaceAll('.', '%2E'),
        'a comma and another': `${token},${token}`,
        'five segments (JWE)': `${encode({ alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`,
        'five segments that want work (PBES2)': `${encode({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 2_147_483_647, p2s: 'AAAA' })}.AAAA.AAAA.AAAA.AAAA`,
        'JSON serialisation': encode({ payload, signatures: [{ protected: header, signature }] }),
        dots: '..',
        'a megabyte': `${header}.${'A'.repeat(1_000_000)}.${signature}`,
        'a megabyte of dots': '.'.repeat(1_000_000),
        'a little too long, and signed': signed(HEADER, claims({ pad: 'x'.repeat(3_000) })),
      });
    });

    it('as the session of somebody else, or as one that never was: the session tier looks [SES-03]', async () => {
      const bob = app.client();
      const login = await bob.login(BOB.email, PASSWORD);
      for (const changes of [
        { sid: login.body.session.id },
        { sub: BOB.id },
        { sid: randomUUID() },
        { sub: randomUUID() },
        { sub: ADMIN.id, roles: ['user', 'admin'] },
      ]) {
        for (const present of Object.values(TRANSPORTS)) {
          const answer = await show('/v1/users/me', present(signed(HEADER, claims(changes))));
          expect(visible(answer)).toEqual(refusal);
        }
      }
    });

    it('with a claim that it was proved just now who it is: the record of the session says when [STP-01]', async () => {
      const client = app.client();
      await client.login(BOB.email, PASSWORD, { transport: 'bearer' });
      app.clock.advance(6 * MINUTE);
      const now = seconds();
      const { claims: genuine } = read(client.accessToken!);
      const more = { auth_time: now, authenticated_at: now, acr: 'high', amr: ['pwd', 'otp'], max_age: 0 };
      const token = signed(HEADER, {
        ...genuine,
        ...more,
        jti: mintTokenId(randomUUID()),
        iat: now,
        exp: now + 60,
      });
      expect((await show('/v1/users/me', bearer(token))).status).toBe(200);
      const answer = await app
        .client()
        .post('/v1/auth/email/change', { email: 'x@example.com' }, { headers: bearer(token) });
      expect(answer).toMatchObject({ status: 401, body: { code: 'auth.reauthentication_required' } });
    });

    it('with a right that the user does not have: admin routes ask the stored user [ADM-02]', async () => {
      const token = signed(HEADER, claims({ roles: ['user', 'admin'] }));
      const answer = await show('/v1/admin/users', bearer(token));
      expect(answer).toMatchObject({ status: 403, body: { code: 'auth.forbidden' } });
    });
  });

  describe('that has run its time', () => {
    const expired = { status: 401, body: { code: 'auth.token_expired' } };

    it('is refused from the very second, although it was verified before; and says that refreshing helps [TOK-12]', async () => {
      const client = app.client();
      await client.login(ALICE.email, PASSWORD, { transport: 'bearer' });
      const { accessToken } = client;
      for (const path of TIERS) expect((await client.get(path)).status).toBe(200);

      const exp = (read(accessToken!).claims['exp'] as number) * 1_000;
      app.clock.advance(exp - app.clock.now() - 5_000);
      for (const path of TIERS) expect((await client.get(path)).status).toBe(200);
      app.clock.advance(5_000);
      for (const path of TIERS) {
        for (const present of Object.values(TRANSPORTS)) {
          const answer = await show(path, present(accessToken!));
          expect(answer).toMatchObject(expired);
          expect(answer.headers['www-authenticate']).toMatch(/^Bearer error="invalid_token"/);
        }
      }
      expect((await client.refresh()).status).toBe(200);
      for (const path of TIERS) expect((await client.get(path)).status).toBe(200);
    });

    it('is told apart only when it is authentic', async () => {
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

  describe('that has been taken back', () => {
    it('is refused in every spelling, although it was verified before: by its session, not by its text [TOK-20, TOK-21]', async () => {
      const client = app.client();
      await client.login(ALICE.email, PASSWORD, { transport: 'bearer' });
      const spellings = [client.accessToken!, malleate(client.accessToken!)];
      expect(spellings[0]).not.toBe(spellings[1]);
      expect(malleate(spellings[1]!)).toBe(spellings[0]);
      for (const token of spellings) {
        for (const path of TIERS) await show(path, bearer(token));
      }
      expect((await client.get(TIERS[0]!)).status).toBe(200);
      expect((await client.post('/v1/auth/logout')).status).toBe(204);
      for (const token of spellings) {
        for (const path of TIERS) {
          for (const present of Object.values(TRANSPORTS)) {
            expect(await show(path, present(token))).toMatchObject({
              status: 401,
              body: { code: 'auth.session_ended', reason: 'logout' },
            });
          }
        }
      }
    });

    it('alone, by its jti: the same in every spelling, while its session goes on [TOK-20]', async () => {
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
describe('the token of a session that is nearly over', () => {
  it.each([
    ['SESSION_LIFETIME', 'expiresAt'],
    ['SESSION_IDLE_TIMEOUT', 'idleExpiresAt'],
  ])('dies with it at the latest (%s) [REF-07, TOK-01]', async (setting, end) => {
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
      // The absolute end stays where it was; use moves the idle one.
      if (setting === 'SESSION_LIFETIME') expect(second).toBe(first);
      else expect(second).toBeGreaterThan(first);
      app.clock.advance(second - app.clock.now());
      expect((await client.get('/v1/feature-flags')).status).toBe(401);
    } finally {
      await app.close();
    }
  });
});

/** Real: PostgreSQL, the cache. */
describe('when keys change', () => {
  it('tokens of the old key are good as long as it is listed, and no key vouches for another [TOK-05]', async () => {
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
      app.client().get('/v1/feature-flags', { headers: bearer(token) });

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
 * Stands between the application and a server, and hears what the application says: but for its feed,
 * which has a connection of its own, and the heartbeat of its cache.
 */
async function listenIn(url: string, heard: string[]) {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const proxy = createTcpServer((client) => {
    let isFeed: boolean | undefined;
    client.on('data', (data) => {
      const text = data.toString('latin1');
      isFeed ??= text.includes('drawbridge-feed');
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

/** Real: PostgreSQL and, where there is one, Redis, each behind a wire that is tapped. */
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
    // What runs on its own every second has no part in a request.
    app.get(RevocationRelay).beforeApplicationShutdown();
    await app.get(LastSeenService).beforeApplicationShutdown();
  });
  afterAll(async () => {
    await app.close();
    postgres.close();
    redis?.close();
  });

  it('asks no store, whoever calls and however it answers [TOK-09]', async () => {
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
        native.get('/v1/feature-flags'),
        native.get('/v1/auth/whoami'),
        browser.get('/v1/feature-flags'),
        browser.get('/v1/auth/whoami'),
        native.get('/v1/feature-flags', {
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

    // The wire does carry what the session tier asks, or silence would prove nothing.
    expect((await native.get('/v1/users/me')).status).toBe(200);
    expect(heard.join()).toMatch(/select .* from .*users/is);
  });
});
