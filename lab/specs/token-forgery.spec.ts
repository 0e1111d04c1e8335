import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { Socket, type AddressInfo } from 'node:net';
import { AccessTokens } from '../../src/auth/tokens/access-tokens.js';
import { AccessAuthenticator } from '../../src/auth/tokens/access-authenticator.js';
import { mintTokenId } from '../../src/sessions/token-id.js';
import { ADMIN, BOB, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import type { Answer } from '../../test/support/client.js';
import { HEADER, read, signed } from '../../test/support/forge.js';
import { allForgeries, FORGERIES, type ForgeryGroup, type Materials } from '../../test/support/forgeries.js';
import { Mailbox } from '../../test/support/mailbox.js';
import { documentOf, isUnsafe, urlOf, type Operation } from '../../test/support/operations.js';
import { loggedIn, createUser, type TestUser } from '../../test/support/test-users.js';
import { ProbeModule } from '../../test/support/probe-routes.js';
import { recipeOf } from '../../test/support/request-examples.js';
import { compare, toldApart } from '../../test/support/statistics.js';
import { COOKIES } from '../../test/support/cookies.js';
import { StrictModule } from '../../test/support/strict-route.js';

/** Node refuses longer headers before the application sees them. */
const LONGEST_HEADER = 16_384;

const TRANSPORTS = {
  bearer: (token: string) => ({ authorization: `Bearer ${token}` }),
  cookie: (token: string) => ({ cookie: `${COOKIES.access}=${token}` }),
};

/** Everything that a caller can see of an answer, except the request id. */
function visible({ status, headers, body }: Answer) {
  const { 'x-request-id': _id, date: _date, ...rest } = headers;
  const { requestId: _request, instance: _instance, ...said } = (body ?? {}) as Record<string, unknown>;
  return { status, headers: rest, body: said };
}

/** Real: PostgreSQL, the cache, the keys; one operation of each tier, from the document. Forged: the tokens. */
describe('a forged access token', () => {
  let app: TestApp;
  let admin: TestUser;
  let browser: TestUser;
  let materials: Record<keyof typeof TRANSPORTS, Materials>;
  let refusal: ReturnType<typeof visible>;
  /** One of each tier, and one of each that requires a role, too. */
  let doors: { operation: Operation; send: (headers: Record<string, string>) => Promise<Answer> }[];
  let listener: Server;
  let overheard = 0;
  /** The connections that this process has opened since the last test. */
  const called: unknown[] = [];

  beforeAll(async () => {
    await resetStores();
    app = await startApp({
      env: { API_DOCS: 'true', SESSION_LIMIT: '1000' },
      features: [ProbeModule, StrictModule],
    });
    const mailbox = new Mailbox(app);
    admin = await loggedIn(app, ADMIN);
    listener = createServer((_request, response) => response.end('{}'));
    listener.on('connection', () => (overheard += 1));
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));

    browser = await loggedIn(app, ADMIN, 'cookie');
    const jwks = await app.client().get('/.well-known/jwks.json');
    const materialsOf = (transport: keyof typeof TRANSPORTS, authentic: string): Materials => ({
      claims: (changes = {}) => ({
        ...read(authentic).claims,
        jti: mintTokenId(randomUUID(), 0, { transport }),
        ...changes,
      }),
      authentic,
      jwks: jwks.body,
      listener: `http://127.0.0.1:${(listener.address() as AddressInfo).port}/jwks.json`,
      now: Math.floor(app.clock.now() / 1_000),
    });
    materials = {
      bearer: materialsOf('bearer', admin.accessToken!),
      cookie: materialsOf('cookie', browser.jar.get(COOKIES.access)!),
    };

    const { operations } = await documentOf(app);
    const kindOf = ({ 'x-tier': tier, 'x-roles': roles = [] }: Operation) => `${tier} ${roles.join()}`;
    const tamest = [...operations].sort((a, b) => harm(a) - harm(b));
    const chosen = new Map(tamest.toReversed().map((operation) => [kindOf(operation), operation]));
    doors = await Promise.all(
      [...chosen.values()]
        .filter((operation) => operation['x-tier'] !== 'public')
        .map(async (operation) => {
          const owner = await loggedIn(app, await createUser(app));
          const example = await recipeOf(operation).cook({ owner, mailbox, clock: app.clock });
          const url = urlOf(operation, example.parameters ?? {});
          const send = (headers: Record<string, string>) =>
            app.client().request(operation.method, url, {
              body: example.body,
              headers: { ...example.headers, ...headers },
            });
          return { operation, send };
        }),
    );
    refusal = visible(await doors[0]!.send(TRANSPORTS.bearer('x')));
    const connect = Socket.prototype.connect;
    const stores = [process.env['TEST_DATABASE_URL'], process.env['TEST_REDIS_URL']].map(
      (url) => url && new URL(url).port,
    );
    jest.spyOn(Socket.prototype, 'connect').mockImplementation(function (this: Socket, ...args: unknown[]) {
      const [options] = args.flat() as { port?: unknown }[];
      if (!stores.includes(String(options?.port ?? options))) called.push(options);
      return connect.apply(this, args as Parameters<typeof connect>);
    });
  });
  afterEach(() => {
    expect({ overheard, called }).toEqual({ overheard: 0, called: [] });
  });
  afterAll(async () => {
    jest.restoreAllMocks();
    await app.close();
    await new Promise((resolve) => listener.close(resolve));
  });

  /** Reads before writes, and writes before ends of sessions. */
  const harm = (operation: Operation) =>
    (isUnsafe(operation) ? 1 : 0) + (operation.method === 'DELETE' ? 1 : 0);

  /** Tests every one of the group, on every tier and transport, for the one answer without a reason. */
  async function expectRefused(group: ForgeryGroup): Promise<void> {
    const verified = () => (app.get(AccessTokens) as unknown as { verified: { size: number } }).verified.size;
    const before = verified();
    for (const transport of ['bearer', 'cookie'] as const) {
      const present = TRANSPORTS[transport];
      for (const [kind, token] of Object.entries(FORGERIES[group](materials[transport]))) {
        for (const { operation, send } of doors) {
          const where = { kind, operation: operation.name, transport };
          expect({ ...where, ...visible(await send(present(token))) }).toEqual({ ...where, ...refusal });
        }
      }
    }
    expect(verified()).toBe(before);
  }

  it('would be accepted everywhere without its fault, or the tests below would prove nothing', async () => {
    expect(doors.map(({ operation }) => operation['x-tier'])).toEqual(
      expect.arrayContaining(['access', 'session', 'fresh', 'strict']),
    );
    expect(doors.length).toBeGreaterThan(5);
    for (const { operation, send } of doors) {
      for (const transport of ['bearer', 'cookie'] as const) {
        const { status } = await send(TRANSPORTS[transport](signed(HEADER, materials[transport].claims())));
        expect({ name: operation.name, isLetIn: status < 300 }).toEqual({
          name: operation.name,
          isLetIn: true,
        });
      }
    }
  });

  it('is refused in the standard form (RFC 6750 3.1) [TOK-17]', () => {
    expect(refusal).toMatchObject({
      status: 401,
      body: { code: 'auth.invalid_token' },
      headers: { 'www-authenticate': 'Bearer error="invalid_token"', 'cache-control': 'no-store' },
    });
    expect(refusal.headers).not.toHaveProperty('set-cookie');
  });

  it('without a signature is refused, however that is spelled [TOK-04, TOK-17]', () =>
    expectRefused('withoutSignature'));
  it('with our public key as a shared secret is refused [TOK-04, TOK-17]', () =>
    expectRefused('byPublicKey'));
  it('with another key or another algorithm is refused [TOK-04, TOK-05, TOK-17]', () =>
    expectRefused('byAnotherKeyOrAlgorithm'));
  it('of another kind is refused, although we signed it (typ) [TOK-10, TOK-17]', () =>
    expectRefused('ofAnotherKind'));
  it('with an unknown key id, or none, is refused (kid) [TOK-09, TOK-17]', () =>
    expectRefused('byAnotherName'));
  it('with its own key or changed rules is refused, and no URL in it is fetched [TOK-08, TOK-14, TOK-17]', () =>
    expectRefused('withItsOwnRules'));
  it('with a missing or changed claim is refused [TOK-11, TOK-12, TOK-13, TOK-17]', () =>
    expectRefused('withoutAClaim'));
  it('that has a claim more than those of the contract is refused, although we signed it [TOK-13, TOK-17]', () =>
    expectRefused('withAClaimMore'));
  it('of another issuer or for another audience is refused [TOK-11, TOK-17]', () =>
    expectRefused('forSomebodyElse'));
  it('of another time is refused [TOK-12, TOK-17]', () => expectRefused('ofAnotherTime'));
  it('in another spelling than the canonical one is refused [TOK-15, TOK-16, TOK-17]', () =>
    expectRefused('inAnotherSpelling'));
  it('in ambiguous or unusual JSON is refused [TOK-15, TOK-17]', () => expectRefused('inStrangeJson'));

  it('ends no session on routes without a login: neither at logout, nor at refresh or login [TOK-17, REF-13]', async () => {
    const [ofBrowsers, ofApps] = [materials.cookie, materials.bearer].map((own) =>
      // Logout ends the session of an authentic token, even if the clock of the instance finds it expired.
      Object.entries(allForgeries(own)).filter(([kind]) => kind !== 'ofAnotherTime: issued in the future'),
    );
    expect(ofBrowsers!.length).toBeGreaterThan(280);
    const cookieOf = (name: keyof typeof COOKIES, token: string) => ({ cookie: `${COOKIES[name]}=${token}` });
    const ways: [string, (token: string) => Promise<Answer>][] = [
      ...Object.entries(TRANSPORTS).map(([transport, present]): (typeof ways)[number] => [
        `logout (${transport})`,
        (token) => app.client().post('/v1/auth/logout', undefined, { headers: present(token) }),
      ]),
      [
        'logout (refresh)',
        (token) => app.client().post('/v1/auth/logout', undefined, { headers: cookieOf('refresh', token) }),
      ],
      [
        'refresh',
        (token) => app.client().post('/v1/auth/refresh', undefined, { headers: cookieOf('refresh', token) }),
      ],
    ];
    for (const [way, send] of ways) {
      const expected = visible(await send('x'));
      expect({ way, status: expected.status }).toEqual({ way, status: way === 'refresh' ? 401 : 204 });
      for (const [kind, token] of way === 'logout (bearer)' ? ofApps! : ofBrowsers!)
        expect({ way, kind, ...visible(await send(token)) }).toEqual({ way, kind, ...expected });
    }
    const bob = { email: BOB.email, password: PASSWORD };
    for (const group of Object.values(FORGERIES)) {
      const [token] = Object.values(group(materials.cookie));
      const login = await app.client().post('/v1/auth/login', bob, { headers: TRANSPORTS.cookie(token!) });
      expect(login.status).toBe(200);
    }
    for (const owner of [admin, browser]) {
      expect((await owner.get('/v1/sessions/current')).status).toBe(200);
      expect((await owner.refresh()).status).toBe(200);
    }
  });

  it('takes no longer than a good one, because the server fetches, derives and decrypts nothing for it [TOK-15, TOK-16]', async () => {
    const authenticator = app.get(AccessAuthenticator);
    const time = (token: string): number => {
      const authorization = `Bearer ${token}`;
      const request = { headers: { authorization }, raw: { rawHeaders: ['authorization', authorization] } };
      const begin = performance.now();
      try {
        authenticator.authenticate(request as never);
      } catch {
        // A forgery.
      }
      return performance.now() - begin;
    };
    const samples = 15;
    /** Alternates with good tokens that are not cached, so that load slows both down. */
    const round = async (forged: string) => {
      const [ofForged, ofGood]: [number[], number[]] = [[], []];
      for (let sample = 0; sample < samples; sample += 1) {
        const good = signed(HEADER, materials.bearer.claims());
        ofGood.push(time(good));
        ofForged.push(time(forged));
      }
      return compare(ofForged, ofGood);
    };
    const isSlower = ({ gap, z }: { gap: number; z: number }) => gap > 1 && z > 3;
    const forgeries = Object.entries(allForgeries(materials.bearer)).filter(
      ([, token]) => token.length < LONGEST_HEADER,
    );
    await round(forgeries[0]![1]);
    const slower: unknown[] = [];
    for (const [kind, token] of forgeries) {
      const { always, rounds } = await toldApart(() => round(token), isSlower);
      if (always) slower.push({ kind, rounds });
    }
    expect(slower).toEqual([]);
  });
});
