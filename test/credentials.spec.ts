import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { request as httpRequest } from 'node:http';
import { ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Answer, Client } from './support/client.js';
import { createUser } from './support/test-users.js';
import { HEADER, read, signed } from './support/forge.js';

const MINUTE = 60_000;
const TRUSTED = ['https://app.example.com', 'http://localhost:5173', 'capacitor://localhost', 'app://.'];
const PATHS = ['/v1/probe/flags', '/v1/users/me'];
const AMBIGUOUS = { status: 400, body: { code: 'auth.ambiguous_credentials' } };
const UNAUTHENTICATED = { status: 401, body: { code: 'auth.unauthenticated' } };

/** A `Set-Cookie` header, taken apart; attribute names in lower case. */
function parse(setCookie: string) {
  const [pair = '', ...attributes] = setCookie.split('; ');
  const equals = pair.indexOf('=');
  return {
    name: pair.slice(0, equals),
    value: pair.slice(equals + 1),
    attributes: Object.fromEntries(
      attributes.map((attribute) => {
        const [name = '', value = true] = attribute.split('=');
        return [name.toLowerCase(), value];
      }),
    ),
  };
}

/** Real: PostgreSQL, the cache; where a header comes twice, a socket. */
describe('the credential of a request', () => {
  let app: TestApp;
  let native: Client;
  let browser: Client;
  let port: number;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({
      env: { SESSION_LIMIT: '1000', TRUSTED_ORIGINS: TRUSTED.join() },
    });
    await app.app.listen(0, '127.0.0.1');
    port = Number(new URL(await app.app.getUrl()).port);
  });
  afterAll(() => app.close());
  /**
   * Both are logged in with good tokens. Hashing passwords is most of the work here, so a test logs in only when
   * needed.
   */
  beforeEach(async () => {
    const isIn = async (client?: Client) => (await client?.get('/v1/users/me'))?.status === 200;
    if (!(await isIn(native))) {
      native = app.client();
      await native.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    }
    if (!(await isIn(browser))) {
      browser = app.client();
      await browser.login(ALICE.email, PASSWORD);
    }
  });

  const show = (path: string, headers: Record<string, string | string[]>) =>
    app.client().get(path, { headers });
  const access = (client = browser) => `__Host-access=${client.jar.get('__Host-access')}`;
  const refresh = (client = browser) => `__Host-refresh=${client.jar.get('__Host-refresh')}`;
  const bearer = (client = native) => `Bearer ${client.accessToken}`;

  /** Over a socket, which sends headers as written here, also twice. */
  function overSocket(
    method: string,
    path: string,
    headers: [string, string][],
  ): Promise<Pick<Answer, 'status' | 'body'>> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({
        port,
        host: '127.0.0.1',
        method,
        path,
        headers: ['Host', 'localhost', ...headers.flat()],
        agent: false,
      });
      request.on('response', (response) => {
        let text = '';
        response.on('data', (chunk) => (text += chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode!, body: text ? JSON.parse(text) : undefined }),
        );
      });
      request.on('error', reject).end();
    });
  }

  describe('is exactly one', () => {
    it('and each of them alone is enough', async () => {
      for (const path of PATHS) {
        expect((await show(path, { authorization: bearer() })).status).toBe(200);
        expect((await show(path, { cookie: access() })).status).toBe(200);
        expect((await show(path, { cookie: `${access()}; ${refresh()}; theme=dark` })).status).toBe(200);
        expect((await overSocket('GET', path, [['Authorization', bearer()]])).status).toBe(200);
      }
    });

    it.each<[string, (of: { browser: Client; native: Client }) => Record<string, string>]>([
      ["a bearer token and the same user's cookie", () => ({ authorization: bearer(), cookie: access() })],
      [
        'one token in both places',
        () => ({ authorization: `Bearer ${browser.jar.get('__Host-access')}`, cookie: access() }),
      ],
      ['a bearer token and a refresh cookie', () => ({ authorization: bearer(), cookie: refresh() })],
      [
        'a good cookie and an invalid bearer token',
        () => ({ authorization: 'Bearer garbage', cookie: access() }),
      ],
      [
        'a good bearer token and an invalid cookie',
        () => ({ authorization: bearer(), cookie: '__Host-access=x' }),
      ],
      ['two access cookies that differ', () => ({ cookie: `${access()}; __Host-access=other` })],
      ['two access cookies that are the same', () => ({ cookie: `${access()}; ${access()}` })],
      ['a good cookie behind an empty one', () => ({ cookie: `__Host-access=; ${access()}` })],
      ['two refresh cookies', () => ({ cookie: `${access()}; ${refresh()}; ${refresh()}` })],
      ['two device cookies', () => ({ cookie: `${access()}; __Host-device=a; __Host-device=b` })],
    ])('not %s [COK-05, TOK-19]', async (_what, headers) => {
      for (const path of [...PATHS, '/v1/auth/whoami', '/v1/nowhere-but-public', '/health/live']) {
        const answer = await show(path, headers({ browser, native }));
        if (path === '/v1/nowhere-but-public') expect(answer.status).toBe(404);
        else expect({ path, ...answer }).toMatchObject({ path, ...AMBIGUOUS });
        expect(answer.setCookies).toEqual([]);
      }
      for (const path of [
        '/v1/auth/login',
        '/v1/auth/refresh',
        '/v1/auth/logout',
        '/v1/auth/reauthenticate',
      ]) {
        const body = path === '/v1/auth/login' ? { email: ALICE.email, password: PASSWORD } : undefined;
        const answer = await app.client().post(path, body, { headers: headers({ browser, native }) });
        expect({ path, ...answer }).toMatchObject({ path, ...AMBIGUOUS });
        expect(answer.setCookies).toEqual([]);
      }
      // The refusal has logged no client out.
      expect((await browser.get('/v1/users/me')).status).toBe(200);
      expect((await native.get('/v1/users/me')).status).toBe(200);
    });

    it.each<[string, () => [string, string][]]>([
      [
        'two Authorization headers',
        () => [
          ['Authorization', bearer()],
          ['Authorization', bearer()],
        ],
      ],
      [
        'two Authorization headers in different case',
        () => [
          ['authorization', bearer()],
          ['AUTHORIZATION', 'Bearer garbage'],
        ],
      ],
      [
        'two Authorization headers, the first of another scheme',
        () => [
          ['Authorization', 'Basic YTpi'],
          ['Authorization', bearer()],
        ],
      ],
      [
        'two Cookie headers with one name',
        () => [
          ['Cookie', access()],
          ['Cookie', access()],
        ],
      ],
      [
        'a token in each of two kinds of header',
        () => [
          ['Cookie', access()],
          ['Authorization', bearer()],
        ],
      ],
    ])('not %s [COK-05, TOK-19]', async (_what, headers) => {
      for (const path of PATHS) expect(await overSocket('GET', path, headers())).toMatchObject(AMBIGUOUS);
    });

    it('which may be spread over Cookie headers that do not repeat each other', async () => {
      const headers: [string, string][] = [
        ['Cookie', 'theme=dark'],
        ['Cookie', access()],
      ];
      for (const path of PATHS) expect((await overSocket('GET', path, headers)).status).toBe(200);
    });

    it('not a refresh token in the cookie and another in the body [REF-11, TOK-19]', async () => {
      for (const path of ['/v1/auth/refresh', '/v1/auth/logout']) {
        const answer = await browser.post(path, { refreshToken: native.refreshToken });
        expect(answer).toMatchObject(AMBIGUOUS);
      }
      expect((await browser.refresh()).status).toBe(200);
      expect((await native.refresh()).status).toBe(200);
    });
  });

  describe('is accepted in two places and nowhere else', () => {
    it('not in the URL [REF-11, TOK-18]', async () => {
      const token = native.accessToken!;
      for (const path of PATHS) {
        for (const name of [
          'access_token',
          'token',
          'accessToken',
          'jwt',
          'auth',
          '__Host-access',
          'authorization',
        ]) {
          const answer = await app.client().get(`${path}?${name}=${token}`);
          expect(answer).toMatchObject(UNAUTHENTICATED);
          expect(answer.text).not.toContain(token);
        }
        expect((await app.client().get(`${path}/${token}`)).status).toBe(404);
        expect(await app.client().get(`${path}#${token}`)).toMatchObject(UNAUTHENTICATED);
      }
      const inUrl = await app.client().post(`/v1/auth/refresh?refreshToken=${native.refreshToken}`);
      expect(inUrl).toMatchObject(UNAUTHENTICATED);
    });

    it('not in the body [TOK-18]', async () => {
      const { accessToken } = native;
      for (const body of [
        { access_token: accessToken },
        { accessToken },
        { token: accessToken },
        { authorization: bearer() },
      ]) {
        const answer = await app
          .client()
          .request('POST', '/v1/probe/payments', { body, headers: { 'idempotency-key': 'x' } });
        expect(answer).toMatchObject(UNAUTHENTICATED);
      }
    });

    it.each([
      'x-access-token',
      'x-auth-token',
      'x-authorization',
      'x-forwarded-authorization',
      'proxy-authorization',
      'authentication',
      'token',
      'access-token',
      'cookie2',
      'x-forwarded-access-token',
      'sec-websocket-protocol',
      'x-api-key',
      'x-device-token',
    ])('not in the header %s [TOK-18]', async (name) => {
      for (const path of PATHS) {
        for (const value of [native.accessToken!, bearer()]) {
          const answer = await show(path, { [name]: value });
          expect(answer.status).toBe(401);
          const wrong = name === 'x-api-key' ? 'auth.invalid_key' : 'auth.invalid_token';
          expect(['auth.unauthenticated', wrong]).toContain(answer.body.code);
        }
      }
    });

    it.each([
      'Basic',
      'Token',
      'JWT',
      'DPoP',
      'Bearer:',
      'Bearer,',
      'Bearer\t',
      'XBearer',
      'Digest Bearer',
      '',
    ])('not under the scheme %j [TOK-18]', async (scheme) => {
      for (const path of PATHS) {
        expect(await show(path, { authorization: `${scheme} ${native.accessToken}`.trim() })).toMatchObject(
          UNAUTHENTICATED,
        );
      }
    });

    it('and the scheme is spelled in any case (RFC 9110 11.1), the rest exactly [TOK-18]', async () => {
      for (const scheme of ['bearer', 'BEARER', 'bEaReR']) {
        expect((await show(PATHS[0]!, { authorization: `${scheme} ${native.accessToken}` })).status).toBe(
          200,
        );
      }
      for (const value of [
        `${bearer()} x`,
        `${bearer()},x`,
        `Bearer "${native.accessToken}"`,
        `Bearer Bearer ${native.accessToken}`,
      ]) {
        expect(await show(PATHS[0]!, { authorization: value })).toMatchObject({
          status: 401,
          body: { code: 'auth.invalid_token' },
        });
      }
      for (const value of ['Bearer', 'Bearer ', '']) {
        expect(await show(PATHS[0]!, { authorization: value })).toMatchObject(UNAUTHENTICATED);
      }
    });

    it('not in a cookie that only looks like ours [COK-07]', async () => {
      const token = browser.jar.get('__Host-access')!;
      for (const cookie of [
        `access=${token}`,
        `__host-access=${token}`,
        `__HOST-ACCESS=${token}`,
        `__Secure-access=${token}`,
        `__Host-access =${token}`,
        `__Host-access\t=${token}`,
        `\t__Host-access=${token}`,
        `  __Host-access=${token}`,
        `\u00a0__Host-access=${token}`,
        `__Host-access%20=${token}`,
        `__Host%2Daccess=${token}`,
        `$Version=1, __Host-access=${token}`,
        `$Version="1,__Host-access=${token}"`,
        `x="; __Host-access =${token}"`,
        `__Host-accessx=${token}`,
        `x__Host-access=${token}`,
        `=__Host-access=${token}`,
        `__Host-access`,
        `__Host-access=`,
        `x=__Host-access=${token}`,
        `x,__Host-access=${token}`,
        `__Host-refresh=${token}`,
      ]) {
        for (const path of PATHS) {
          const answer = await show(path, { cookie });
          expect({ cookie, status: answer.status, code: answer.body.code }).toEqual({
            cookie,
            status: 401,
            code: 'auth.unauthenticated',
          });
        }
      }
    });

    it('and a cookie value is taken as it stands: nothing is decoded, unquoted or parsed [COK-06]', async () => {
      const token = browser.jar.get('__Host-access')!;
      for (const value of [
        `"${token}"`,
        token.replaceAll('.', '%2e'),
        `${token} `,
        `${token}\t`,
        `j:{"a":1}`,
        `j:["${token}"]`,
        `j:"${token}"`,
        `s:${token}.x`,
        `=${token}`,
        '[object Object]',
      ]) {
        for (const path of PATHS) {
          const answer = await show(path, { cookie: `__Host-access=${value}; theme=dark` });
          expect({ value, status: answer.status, code: answer.body.code }).toEqual({
            value,
            status: 401,
            code: 'auth.invalid_token',
          });
        }
      }
    });
  });

  describe('of a browser', () => {
    const DAY = 86_400;

    it('is three cookies that are out of reach of scripts, sibling domains and plain HTTP [COK-01, COK-04, SES-02]', async () => {
      const { setCookies } = await app.client().login(ALICE.email, PASSWORD);
      const strict = { path: '/', httponly: true, secure: true, samesite: 'Lax' };
      expect(setCookies.map(parse)).toEqual([
        {
          name: '__Host-access',
          value: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]{86}$/),
          attributes: { ...strict, 'max-age': expect.any(String) },
        },
        {
          name: '__Host-refresh',
          value: expect.stringMatching(/^[\w-]{74}$/),
          attributes: { ...strict, 'max-age': expect.any(String) },
        },
        {
          name: '__Host-device',
          value: expect.stringMatching(/^[\w-]{43}$/),
          attributes: { ...strict, 'max-age': String(400 * DAY) },
        },
      ]);
      for (const cookie of setCookies) {
        const { name, value, attributes } = parse(cookie);
        expect(name.length + value.length).toBeLessThanOrEqual(4_096);
        if (name !== '__Host-device') {
          expect(Number(attributes['max-age'])).toBeGreaterThan(0);
          expect(Number(attributes['max-age'])).toBeLessThanOrEqual(90 * DAY);
        }
      }
    });

    it('never outlives the session in the browser, and its lifetime shrinks with each refresh [COK-08]', async () => {
      const maxAges = ({ setCookies }: Answer) =>
        setCookies
          .map(parse)
          .filter(({ name }) => name !== '__Host-device')
          .map(({ attributes }) => Number(attributes['max-age']));
      const client = app.client();
      const atLogin = maxAges(await client.login(ALICE.email, PASSWORD));
      app.clock.advance(10 * MINUTE);
      const atRefresh = maxAges(await client.refresh());
      expect(atLogin).toHaveLength(2);
      expect(atRefresh).toHaveLength(2);
      for (const maxAge of atRefresh) expect(maxAge).toBeLessThanOrEqual(atLogin[0]! - 600);
    });

    it('is in no body, so that no script can read it [COK-02]', async () => {
      const client = app.client();
      const login = await client.login(ALICE.email, PASSWORD);
      const seen = [...client.jar.values()];
      const refreshed = await client.refresh();
      const proven = await client.post('/v1/auth/reauthenticate', { password: PASSWORD });
      seen.push(...client.jar.values());
      expect(new Set(seen).size).toBeGreaterThanOrEqual(5);
      for (const answer of [
        login,
        refreshed,
        proven,
        await client.get('/v1/sessions/current'),
        await client.get('/v1/auth/whoami'),
      ]) {
        expect(answer.status).toBe(200);
        for (const value of seen) expect(answer.text).not.toContain(value);
        expect(answer.text).not.toMatch(/refreshToken|"accessToken"|deviceToken/);
      }
      expect(login.body).toEqual({
        user: expect.objectContaining({ id: ALICE.id }),
        session: expect.objectContaining({ transport: 'cookie', current: true }),
        accessTokenExpiresIn: expect.any(Number),
      });
    });

    it('is given to a native client in the body, without any cookie', async () => {
      const client = app.client();
      const login = await client.login(ALICE.email, PASSWORD, { transport: 'bearer' });
      expect(login.body).toMatchObject({
        accessToken: expect.any(String),
        tokenType: 'Bearer',
        expiresIn: expect.any(Number),
        refreshToken: expect.any(String),
        deviceToken: expect.any(String),
        session: { transport: 'bearer' },
      });
      for (const answer of [
        login,
        await client.refresh(),
        await client.post('/v1/auth/reauthenticate', { password: PASSWORD }),
      ]) {
        expect(answer.status).toBe(200);
        expect(answer.setCookies).toEqual([]);
      }
    });

    it('is bound to its transport: a refresh token from a cookie is refused in a body, and vice versa [REF-11]', async () => {
      const stolen = browser.jar.get('__Host-refresh')!;
      const invalid = { status: 401, body: { code: 'auth.invalid_token' } };
      expect(await app.client().post('/v1/auth/refresh', { refreshToken: stolen })).toMatchObject(invalid);
      const cookie = `__Host-refresh=${native.refreshToken}`;
      expect(await app.client().post('/v1/auth/refresh', undefined, { headers: { cookie } })).toMatchObject(
        invalid,
      );
      expect((await browser.refresh()).status).toBe(200);
      expect((await native.refresh()).status).toBe(200);
    });
  });

  describe('is revoked at logout', () => {
    it('by an empty object as well as by no body, because some clients always send one', async () => {
      const [person, other] = [app.client(), app.client()];
      await person.login(ALICE.email, PASSWORD);
      expect((await person.post('/v1/auth/refresh', {})).status).toBe(200);
      const held = person.copy();
      expect((await person.post('/v1/auth/logout', {})).status).toBe(204);
      expect(await held.get('/v1/users/me')).toMatchObject({ status: 401, body: { reason: 'logout' } });
      expect((await other.post('/v1/auth/logout', {})).status).toBe(204);
      expect(await other.post('/v1/auth/refresh', {})).toMatchObject(UNAUTHENTICATED);
    });

    const ended = { status: 401, body: { code: 'auth.session_ended', reason: 'logout' } };

    it('with the session’s cookies, which are cleared by name as they were set, and nothing else [COK-08, SES-09]', async () => {
      const thief = browser.copy();
      const answer = await browser.post('/v1/auth/logout');
      expect(answer).toMatchObject({ status: 204, text: '' });
      expect(answer.headers).not.toHaveProperty('clear-site-data');
      expect(answer.setCookies.map(parse)).toEqual(
        ['__Host-access', '__Host-refresh'].map((name) => ({
          name,
          value: '',
          attributes: { path: '/', httponly: true, secure: true, samesite: 'Lax', 'max-age': '0' },
        })),
      );
      expect([...browser.jar.keys()]).toEqual(['__Host-device']);
      for (const path of PATHS) {
        expect(await thief.copy().get(path)).toMatchObject(ended);
        expect(await browser.get(path)).toMatchObject(UNAUTHENTICATED);
      }
      expect(await thief.copy().refresh()).toMatchObject(ended);
    });

    it.each<[string, () => Promise<Answer>]>([
      ['the access token of a native client', () => native.post('/v1/auth/logout')],
      [
        'its refresh token alone',
        () => app.client().post('/v1/auth/logout', { refreshToken: native.refreshToken }),
      ],
      [
        'its access token, expired',
        () => {
          app.clock.advance(16 * MINUTE);
          return native.post('/v1/auth/logout');
        },
      ],
    ])('by %s [REF-13, SES-09]', async (_what, logout) => {
      expect((await logout()).status).toBe(204);
      expect(await native.refresh()).toMatchObject(ended);
      expect((await browser.refresh()).status).toBe(200);
    });

    it('by the refresh cookie alone', async () => {
      const answer = await app
        .client()
        .post('/v1/auth/logout', undefined, { headers: { cookie: refresh() } });
      expect(answer.status).toBe(204);
      expect(await browser.get('/v1/users/me')).toMatchObject(ended);
    });

    it('also a second time, and when there is nothing to revoke [REF-13]', async () => {
      const again = native.copy();
      for (const answer of [
        await native.post('/v1/auth/logout'),
        await again.post('/v1/auth/logout'),
        await app.client().post('/v1/auth/logout'),
        await app.client().post('/v1/auth/logout', { refreshToken: 'A'.repeat(74) }),
        await app
          .client()
          .post('/v1/auth/logout', undefined, { headers: { authorization: 'Bearer garbage' } }),
        await app
          .client()
          .post('/v1/auth/logout', undefined, { headers: { cookie: '__Host-access=x; __Host-refresh=y' } }),
      ]) {
        expect(answer.status).toBe(204);
      }
    });

    it('only for its own session: a token that was not issued ends no session', async () => {
      const { claims } = read(native.accessToken!);
      const bob = app.client();
      await bob.login(BOB.email, PASSWORD, { transport: 'bearer' });
      const forgeries = [
        signed(HEADER, { ...claims, aud: 'other' }),
        `${bob.accessToken!.split('.')[0]}.${native.accessToken!.split('.')[1]}.${bob.accessToken!.split('.')[2]}`,
        // Alice's session with bob's user id: no token that we would sign, and useless if we did.
        signed(HEADER, { ...read(bob.accessToken!).claims, sid: claims['sid'] }),
      ];
      for (const token of forgeries) {
        const headers = { authorization: `Bearer ${token}` };
        expect((await app.client().post('/v1/auth/logout', undefined, { headers })).status).toBe(204);
      }
      const flipped = native.refreshToken!.replace(/.(?=.{10}$)/, (letter) => (letter === 'A' ? 'B' : 'A'));
      expect((await app.client().post('/v1/auth/logout', { refreshToken: flipped })).status).toBe(204);
      expect((await native.get('/v1/users/me')).status).toBe(200);
      expect((await native.refresh()).status).toBe(200);
    });
  });

  describe('when another site makes a browser send it', () => {
    const REFUSED = { status: 403, body: { code: 'request.cross_site' } };
    /**
     * The headers in which a browser describes the requesting site, and the expected result: always accepted,
     * never, or only without cookies.
     */
    const ORIGINS: [Record<string, string>, boolean | 'without cookies'][] = [
      [{}, true],
      [{ 'sec-fetch-site': 'same-origin' }, true],
      [{ 'sec-fetch-site': 'none' }, true],
      [{ 'sec-fetch-site': 'same-site' }, false],
      [{ 'sec-fetch-site': 'cross-site' }, false],
      [{ 'sec-fetch-site': '' }, false],
      [{ 'sec-fetch-site': 'Same-Origin' }, false],
      [{ 'sec-fetch-site': 'same-origin, cross-site' }, false],
      ...TRUSTED.flatMap((origin): [Record<string, string>, boolean | 'without cookies'][] => [
        [{ 'sec-fetch-site': 'cross-site', origin }, 'without cookies'],
        [{ 'sec-fetch-site': 'same-site', origin }, 'without cookies'],
        [{ 'sec-fetch-site': '', origin }, 'without cookies'],
        [{ origin }, true],
      ]),
      [{ 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }, false],
      [{ 'sec-fetch-site': 'same-site', origin: 'https://evil.example.com' }, false],
      [{ 'sec-fetch-site': 'cross-site', origin: 'null' }, false],
      [{ 'sec-fetch-site': 'cross-site', origin: 'capacitor://evil' }, false],
      [{ 'sec-fetch-site': 'cross-site', origin: 'capacitor://localhost/' }, false],
      [{ 'sec-fetch-site': 'cross-site', origin: 'file://' }, false],
      [{ 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' }, true],
      [{ origin: 'http://drawbridge.example' }, true],
      [{ origin: 'http://DRAWBRIDGE.example.:80' }, true],
      [{ origin: 'null' }, false],
      [{ origin: '' }, false],
      [{ origin: 'https://evil.example' }, false],
      [{ origin: 'https://app.example.com.evil.example' }, false],
      [{ origin: 'https://evil-app.example.com' }, false],
      [{ origin: 'https://app.example.com:444' }, false],
      [{ origin: 'http://app.example.com' }, false],
      [{ origin: 'http://drawbridge.example:81' }, false],
      [{ origin: 'http://drawbridge.example.evil.example' }, false],
      [{ origin: 'http://localhost:5173/' }, false],
      [{ origin: 'file://' }, false],
      [{ origin: 'https://evil.example', referer: 'http://drawbridge.example/' }, false],
      [{ origin: 'https://evil.example', 'x-forwarded-host': 'evil.example' }, false],
      [
        {
          origin: 'https://evil.example',
          'x-http-method-override': 'GET',
          'x-requested-with': 'XMLHttpRequest',
        },
        false,
      ],
    ];
    const host = { host: 'drawbridge.example' };

    /** Every unsafe route that a browser can reach without any secret, with a body. */
    const UNSAFE: [string, string, unknown][] = [
      ['POST', '/v1/auth/register', {}],
      ['POST', '/v1/auth/login', {}],
      ['POST', '/v1/auth/refresh', {}],
      ['POST', '/v1/auth/logout', {}],
      ['POST', '/v1/auth/reauthenticate', {}],
      ['POST', '/v1/auth/password/change', {}],
      ['POST', '/v1/auth/password/forgot', {}],
      ['POST', '/v1/auth/password/reset', {}],
      ['POST', '/v1/auth/email/verify', {}],
      ['POST', '/v1/auth/email/change', {}],
      ['PATCH', '/v1/users/me', {}],
      ['DELETE', '/v1/users/me', {}],
      ['DELETE', '/v1/sessions?x=1', undefined],
      ['DELETE', '/v1/sessions/x', undefined],
      ['POST', '/v1/probe/payments', {}],
      ['DELETE', '/v1/admin/sessions', {}],
      ['POST', `/v1/admin/users/${BOB.id}/ban`, {}],
      ['PUT', `/v1/admin/users/${BOB.id}/roles`, {}],
      ['DELETE', `/v1/admin/users/${BOB.id}/ban`, undefined],
    ];

    it('is refused on every unsafe route, with cookies or without, before any look-up [CSR-02, CSR-03]', async () => {
      const jars: Record<string, string>[] = [
        {},
        { cookie: `${access()}; ${refresh()}` },
        { cookie: '__Host-access=x' },
        { cookie: '__Host-device=x' },
      ];
      const asksForCookies = ['/v1/auth/login', '/v1/auth/refresh', '/v1/auth/logout'];
      for (const [method, path, body] of UNSAFE) {
        for (const [site, expected] of ORIGINS) {
          for (const cookie of jars) {
            const isWithoutCookies = !cookie['cookie'] && !asksForCookies.includes(path);
            const isLetIn = expected === 'without cookies' ? isWithoutCookies : expected;
            if (isLetIn && path === '/v1/users/me' && method === 'DELETE') continue; // it would take effect
            const answer = await app.client().request(method as 'POST', path, {
              body: isLetIn ? { nonsense: true } : body,
              headers: { ...host, ...site, ...cookie },
            });
            const seen = { method, path, site, code: answer.body?.code === 'request.cross_site' };
            expect(seen).toEqual({ method, path, site, code: !isLetIn });
            if (!isLetIn) {
              expect(answer).toMatchObject(REFUSED);
              expect(answer.setCookies).toEqual([]);
              expect(answer.headers).not.toHaveProperty('clear-site-data');
            }
          }
        }
      }
      expect((await browser.get('/v1/users/me')).status).toBe(200);
    });

    it.each(TRUSTED.flatMap((origin) => ['cross-site', 'same-site'].map((site) => [origin, site])))(
      'is accepted from %s (%s) for all requests that need no cookie, and sets none',
      async (origin, site) => {
        const headers = { origin: origin!, 'sec-fetch-site': site! };
        const { email } = await createUser(app);
        const post = (path: string, body: unknown, extra = {}) =>
          app.client().post(`/v1/auth/${path}`, body, { headers: { ...headers, ...extra } });
        const outcomes: [Answer, number][] = [];
        const password = { email, password: PASSWORD };
        const login = await post('login', { ...password, transport: 'bearer' });
        outcomes.push([login, 200]);
        const { refreshToken, accessToken, deviceToken } = login.body;
        const refreshed = await post('refresh', { refreshToken }, { 'x-device-token': deviceToken });
        outcomes.push([refreshed, 200]);
        outcomes.push([
          await post('reauthenticate', { password: PASSWORD }, { authorization: `Bearer ${accessToken}` }),
          200,
        ]);
        outcomes.push([await post('register', { ...password, email: `new-${email}` }), 202]);
        outcomes.push([await post('password/forgot', { email }), 202]);
        outcomes.push([await post('password/reset', { token: 'x', newPassword: PASSWORD }), 400]);
        outcomes.push([await post('email/verify', { token: 'x' }), 400]);
        outcomes.push([await post('login/passkey/options', {}), 200]);
        for (const [{ status, setCookies, headers }, expected] of outcomes) {
          expect([status, setCookies]).toEqual([expected, []]);
          expect(headers['access-control-allow-origin']).toBe(origin);
        }
        expect((await post('logout', { refreshToken: refreshed.body.refreshToken })).status).toBe(204);
        for (const [path, body] of [
          ['login', password],
          ['login', { ...password, transport: 'cookie' }],
          ['login', { ...password, transport: ['bearer'] }],
          ['refresh', {}],
          ['refresh', { refreshToken: '' }],
          ['logout', undefined],
          ['login/passkey', {}],
        ] as [string, unknown][]) {
          const refused = await post(path, body);
          expect({ sent: [path, body], ...refused }).toMatchObject({ sent: [path, body], ...REFUSED });
          expect(refused.setCookies).toEqual([]);
        }
      },
    );

    it('has no effect: no login, no refresh, no logout, no payment, no new name [CSR-02]', async () => {
      const before = await app.query('select count(*) from sessions');
      const headers = { 'sec-fetch-site': 'cross-site' };
      const jar = [...browser.jar];
      const bob = { email: BOB.email, password: PASSWORD };
      const payment = { amount: 100, currency: 'EUR', recipient: 'Mallory' };
      for (const answer of [
        await browser.post('/v1/auth/login', bob, { headers }),
        await browser.post('/v1/auth/refresh', undefined, { headers }),
        await browser.post('/v1/auth/logout', undefined, { headers }),
        await browser.post('/v1/auth/reauthenticate', { password: PASSWORD }, { headers }),
        await browser.post('/v1/probe/payments', payment, {
          headers: { ...headers, 'idempotency-key': 'forged' },
        }),
        await browser.request('PATCH', '/v1/users/me', { body: { displayName: 'Mallory' }, headers }),
        await browser.delete('/v1/users/me', { headers }),
        await browser.delete('/v1/sessions', { headers }),
        await app.client().post('/v1/auth/login', bob, { headers }),
      ]) {
        expect(answer).toMatchObject(REFUSED);
        expect(answer.setCookies).toEqual([]);
      }
      expect([...browser.jar]).toEqual(jar);
      expect(await app.query('select count(*) from sessions')).toEqual(before);
      expect((await browser.get('/v1/users/me')).body.displayName).toBe('Alice');
      expect((await browser.get('/v1/probe/payments')).body.items).toEqual([]);
    });

    it('reads no more than public data: safe methods are accepted, without CORS headers', async () => {
      for (const [site] of ORIGINS.filter(([site]) => !TRUSTED.includes(site['origin']!))) {
        const answer = await app
          .client()
          .get('/v1/users/me', { headers: { ...host, ...site, cookie: access() } });
        expect(answer.status).toBe(200);
        for (const name of Object.keys(answer.headers)) expect(name).not.toMatch(/^access-control-/);
      }
    });

    it('cannot be a form, because every body has to be JSON [CSR-04]', async () => {
      const form = `email=${encodeURIComponent(BOB.email)}&password=${encodeURIComponent(PASSWORD)}`;
      for (const type of [
        'application/x-www-form-urlencoded',
        'text/plain',
        'multipart/form-data; boundary=x',
      ]) {
        const answer = await app
          .client()
          .request('POST', '/v1/auth/login', { body: form, headers: { 'content-type': type } });
        expect(answer).toMatchObject({ status: 415, body: { code: 'request.media_type' } });
        expect(answer.setCookies).toEqual([]);
      }
    });

    it('is accepted with a token in Authorization, which no other site can make a browser send', async () => {
      for (const [site] of ORIGINS) {
        const answer = await native.request('PATCH', '/v1/users/me', {
          body: { displayName: 'Alice' },
          headers: { ...host, ...site },
        });
        expect({ site, status: answer.status }).toEqual({ site, status: 200 });
      }
    });

    it('is refused with an Authorization header that carries no token, or one next to a cookie [CSR-07]', async () => {
      const site = { 'sec-fetch-site': 'cross-site' };
      for (const authorization of ['Basic YTpi', 'Bearer', 'Bearer ', 'Negotiate x']) {
        const answer = await browser.request('PATCH', '/v1/users/me', {
          body: { displayName: 'Mallory' },
          headers: { ...site, authorization },
        });
        expect(answer).toMatchObject(REFUSED);
      }
      const both = await browser.request('PATCH', '/v1/users/me', {
        body: { displayName: 'Mallory' },
        headers: { ...site, authorization: 'Bearer garbage' },
      });
      expect(both).toMatchObject(AMBIGUOUS);
      expect((await browser.get('/v1/users/me')).body.displayName).toBe('Alice');
    });
  });
});

/** Real: PostgreSQL, the cache. */
describe('without TLS, in development (COOKIE_SECURE=false)', () => {
  let app: TestApp;
  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { COOKIE_SECURE: 'false' } });
  });
  afterAll(() => app.close());

  it('cookies lose Secure and the prefix and nothing else, and are cleared under the same names', async () => {
    const client = app.client();
    const login = await client.login(ALICE.email, PASSWORD);
    const lax = { path: '/', httponly: true, samesite: 'Lax', 'max-age': expect.any(String) };
    expect(login.setCookies.map(parse)).toEqual(
      ['access', 'refresh', 'device'].map((name) => ({ name, value: expect.any(String), attributes: lax })),
    );
    expect((await client.get('/v1/users/me')).status).toBe(200);
    expect((await client.refresh()).status).toBe(200);
    const logout = await client.post('/v1/auth/logout');
    expect(logout.setCookies.map(parse)).toEqual(
      ['access', 'refresh'].map((name) => ({ name, value: '', attributes: { ...lax, 'max-age': '0' } })),
    );
    expect([...client.jar.keys()]).toEqual(['device']);
  });

  it('cookies under the names with the prefix are ignored', async () => {
    const client = app.client();
    await client.login(ALICE.email, PASSWORD);
    const cookie = `__Host-access=${client.jar.get('access')}`;
    expect(await app.client().get('/v1/users/me', { headers: { cookie } })).toMatchObject(UNAUTHENTICATED);
  });
});

/** Real: PostgreSQL, the cache. */
describe('with a prefix of its own (COOKIE_PREFIX=shop)', () => {
  let app: TestApp;
  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { COOKIE_PREFIX: 'shop', API_DOCS: 'true' } });
  });
  afterAll(() => app.close());

  it('every cookie is set, read and cleared under its prefixed name', async () => {
    const client = app.client();
    const namesIn = ({ setCookies }: Answer) => setCookies.map((cookie) => parse(cookie).name);
    const [access, refresh, device] = ['access', 'refresh', 'device'].map((kind) => `__Host-shop-${kind}`);
    expect(namesIn(await client.login(ALICE.email, PASSWORD))).toEqual([access, refresh, device]);
    expect((await client.get('/v1/users/me')).status).toBe(200);
    expect(namesIn(await client.refresh())).toEqual([access, refresh, device]);
    expect(namesIn(await client.post('/v1/auth/logout'))).toEqual([access, refresh]);
    expect([...client.jar.keys()]).toEqual([device]);
  });

  it('the cookies of another product on the same host are neither read nor counted as a second credential', async () => {
    const client = app.client();
    for (const prefix of ['', 'blog-', 'shop-shop-'])
      for (const kind of ['access', 'refresh', 'device']) client.jar.set(`__Host-${prefix}${kind}`, 'theirs');
    expect(await client.get('/v1/users/me')).toMatchObject(UNAUTHENTICATED);
    await client.login(ALICE.email, PASSWORD);
    expect((await client.get('/v1/users/me')).status).toBe(200);
    const cookie = `__Host-access=${client.jar.get('__Host-shop-access')}`;
    expect(await app.client().get('/v1/users/me', { headers: { cookie } })).toMatchObject(UNAUTHENTICATED);
  });

  it('the API document names the prefixed cookie', async () => {
    const { body } = await app.client().get('/openapi.json');
    expect(body.components.securitySchemes.cookie).toMatchObject({
      in: 'cookie',
      name: '__Host-shop-access',
    });
  });
});
