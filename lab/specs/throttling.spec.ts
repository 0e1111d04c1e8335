import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createClient } from 'redis';
import { PasswordHasher } from '../../src/auth/passwords/password-hasher.js';
import { PasswordsService } from '../../src/auth/passwords/passwords.service.js';
import type { RedisServers } from '../../src/platform/cache/redis-servers.js';
import { Problem } from '../../src/platform/api/problem.js';
import { seedUsers } from '../../src/seeds.js';
import { CallerLimitGuard } from '../../src/platform/throttling/caller-limit.guard.js';
import { RedisCounters } from '../../src/platform/throttling/redis-counters.js';
import { ThrottleGuard } from '../../src/platform/throttling/throttle.guard.js';
import { Throttled } from '../../src/platform/throttling/throttled.decorator.js';
import { ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import type { Answer, Client } from '../../test/support/client.js';
import { TestClock } from '../../test/support/clock.js';
import { Mailbox } from '../../test/support/mailbox.js';
import { loggedIn } from '../../test/support/test-users.js';
import { describeWithOwnRedis } from '../../test/support/redis.js';
import { startRedisCluster } from '../../test/support/redis-cluster.mjs';
import { startRedis } from '../../test/support/services.mjs';
import { eventually } from '../../test/support/waiting.js';
import { PRODUCT } from '../../src/product.js';
import { COOKIES } from '../../test/support/cookies.js';

/** The real hasher with a counter; a test may replace it where thousands are to be refused. */
const genuine = PasswordHasher.prototype.verify;
const verify = jest.fn<typeof genuine>();
PasswordHasher.prototype.verify = verify;

const redis = await startRedis();
const WRONG = 'this is not the password';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DENIED = { status: 401, body: { code: 'auth.invalid_credentials' } };
const isLimited = ({ status }: Answer) => status === 429;

/** Everything that a caller can see of an answer, except the request id and the seconds that pass meanwhile. */
function visible({ status, headers, body }: Answer) {
  const { 'x-request-id': _id, date: _date, ...rest } = headers;
  const { requestId: _request, instance: _instance, ...said } = body as Record<string, unknown>;
  const seen = JSON.stringify({ status, headers: rest, body: said });
  return seen.replace(/(t=|"retry-after":"|"retryAfter":)\d+/g, '$1?');
}
/** Real time passes between attempts. */
const waitOf = (seconds?: number) =>
  seconds === undefined
    ? '[1-9]\\d*'
    : `(${Array.from({ length: 10 }, (_, late) => seconds - late).join('|')})`;
const limited = (policy: string, seconds?: number) => ({
  status: 429,
  body: { code: 'request.rate_limited', status: 429 },
  headers: {
    'retry-after': expect.stringMatching(`^${waitOf(seconds)}$`),
    'ratelimit-policy': expect.stringMatching(new RegExp(`^"${policy}";q=\\d+;w=\\d+$`)),
    ratelimit: expect.stringMatching(new RegExp(`^"${policy}";r=0;t=${waitOf(seconds)}$`)),
    'cache-control': 'no-store',
    'content-type': 'application/problem+json; charset=utf-8',
    'x-content-type-options': 'nosniff',
  },
});

interface Attempt {
  password?: string;
  ip?: string;
  headers?: Record<string, string>;
}

let addresses = 0;
/** An address that no other test uses. */
const newAddress = () => `198.18.${Math.floor((addresses += 1) / 250)}.${(addresses % 250) + 1}`;

const newEmail = () => `someone${(addresses += 1)}@example.com`;

const guess = (
  app: { client(): Client },
  email: string,
  { password = WRONG, ip = newAddress(), headers = {} }: Attempt = {},
) =>
  app
    .client()
    .post(
      '/v1/auth/login',
      { email, password, transport: 'bearer' },
      { headers: { 'x-forwarded-for': ip, ...headers } },
    );

/** One after the other, or so many at once where their order does not matter. */
async function guesses(
  count: number,
  make: (index: number) => Promise<Answer>,
  atOnce = 1,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let first = 0; first < count; first += atOnce) {
    const batch = Array.from({ length: Math.min(atOnce, count - first) }, (_, index) => make(first + index));
    answers.push(...(await Promise.all(batch)));
  }
  return answers;
}

/** Real: PostgreSQL, a Redis of this file's own, two instances over HTTP, the hasher. Simulated: the clock. */
describeWithOwnRedis(redis, 'limits that instances share', () => {
  const clock = new TestClock();
  let a: TestApp;
  let b: TestApp;

  const start = (env: Record<string, string | undefined> = {}) =>
    startApp({
      clock,
      env: {
        REDIS_URL: redis!.url,
        RATE_LIMITS: 'on',
        TRUSTED_PROXIES: '127.0.0.1',
        CACHE_BUDGET: '1s',
        ...env,
      },
    });
  const forgetAll = async () => {
    const client = createClient({ url: redis!.url });
    await client.connect();
    await client.flushAll();
    client.destroy();
  };
  const both = (index: number) => (index % 2 ? a : b);

  beforeAll(async () => {
    await resetStores();
    [a, b] = [await start(), await start()];
  });
  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await redis!.stop();
  });
  beforeEach(async () => {
    jest.restoreAllMocks();
    verify.mockReset().mockImplementation(genuine);
    await forgetAll();
  });

  describe('for attempts at one account', () => {
    it('hold for 200 that arrive at once, on two instances and from 200 addresses, and other routes are unaffected [AUT-03, AUT-05, AUT-07]', async () => {
      const bob = await loggedIn(a, BOB);
      verify.mockClear();
      const burst = Array.from({ length: 200 }, (_, index) => guess(both(index), ALICE.email));
      const [flags, me, ...answers] = await Promise.all([
        bob.get('/v1/probe/flags'),
        bob.get('/v1/users/me'),
        ...burst,
      ]);
      expect([flags.status, me.status]).toEqual([200, 200]);
      expect(verify).toHaveBeenCalledTimes(10);
      expect(answers.filter(({ status }) => status === 401)).toHaveLength(10);
      for (const answer of answers.filter(({ status }) => status !== 401))
        expect(answer).toMatchObject(limited('guesses-account'));
    });

    it('do not reveal whether the address is registered, nor whether the password was right [AUT-01, AUT-11]', async () => {
      const unregistered = 'unregistered@example.com';
      for (const email of [ALICE.email, unregistered])
        await guesses(10, (index) => guess(both(index), email));
      const [known, unknown] = [await guess(a, ALICE.email), await guess(a, unregistered)];
      expect(known).toMatchObject(limited('guesses-account', 30));
      expect(visible(known)).toEqual(visible(unknown));
      verify.mockClear();
      const right = await guess(b, ALICE.email, { password: PASSWORD });
      expect(visible(right)).toEqual(visible(known));
      expect(verify).not.toHaveBeenCalled();
    });

    it('grow from 30 s to an hour; one attempt per delay, and requests meanwhile change nothing [AUT-03, AUT-06]', async () => {
      await guesses(10, (index) => guess(both(index), ALICE.email));
      for (const seconds of [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]) {
        expect(await guess(a, ALICE.email)).toMatchObject(limited('guesses-account'));
        clock.advance(seconds * 1_000 - 2_000);
        expect(await guess(b, ALICE.email)).toMatchObject(limited('guesses-account'));
        clock.advance(2_000);
        const answers = await Promise.all([a, b, a, b].map((app) => guess(app, ALICE.email)));
        expect(answers.filter(({ status }) => status === 401)).toHaveLength(1);
        expect(answers.filter(isLimited)).toHaveLength(3);
      }
    });

    it('end with the first right one [AUT-03]', async () => {
      await guesses(10, (index) => guess(both(index), ALICE.email));
      clock.advance(30_000);
      expect((await guess(a, ALICE.email, { password: PASSWORD })).status).toBe(200);
      for (const answer of await guesses(10, (index) => guess(both(index), ALICE.email)))
        expect(answer).toMatchObject(DENIED);
      expect(await guess(b, ALICE.email)).toMatchObject(limited('guesses-account', 30));
    });

    it('count one account in every spelling of its address', async () => {
      const spellings = [ALICE.email, ALICE.email.toUpperCase(), ` ${ALICE.email}`.trim()];
      await guesses(10, (index) => guess(a, spellings[index % 3]!));
      expect(await guess(a, ALICE.email.toUpperCase())).toMatchObject(limited('guesses-account'));
    });

    it('do not count unchecked attempts: bad bodies, a busy hasher, requests from another site', async () => {
      const bad = await guesses(15, () =>
        a.client().post('/v1/auth/login', { email: ALICE.email, password: 1 }),
      );
      expect(bad.every(({ status }) => status === 400)).toBe(true);
      const busy = jest
        .spyOn(a.get(PasswordsService), 'verify')
        .mockRejectedValue(new Problem('auth.unavailable'));
      const turnedAway = await guesses(15, () => guess(a, ALICE.email));
      for (const { status, headers } of turnedAway) {
        expect(status).toBe(503);
        expect(headers['retry-after']).toMatch(/^[1-9]\d*$/);
      }
      busy.mockRestore();
      const elsewhere = { 'sec-fetch-site': 'cross-site' };
      const forged = await guesses(15, () => guess(a, ALICE.email, { headers: elsewhere }));
      expect(forged.every(({ status }) => status === 403)).toBe(true);
      for (const answer of await guesses(10, () => guess(a, ALICE.email)))
        expect(answer).toMatchObject(DENIED);
      expect(isLimited(await guess(a, ALICE.email))).toBe(true);
    });
  });

  describe('for the owner of the account', () => {
    it('accept the owner on a known device while unknown devices have to wait [AUT-06]', async () => {
      const native = await loggedIn(a, ALICE);
      const browser = await loggedIn(a, ALICE, 'cookie');
      await guesses(10, (index) => guess(both(index), ALICE.email));
      expect(await guess(a, ALICE.email, { password: PASSWORD })).toMatchObject(limited('guesses-account'));

      const headers = { 'x-device-token': native.deviceToken! };
      expect((await guess(b, ALICE.email, { password: PASSWORD, headers })).status).toBe(200);
      await browser.post('/v1/auth/logout');
      expect((await browser.login(ALICE.email, PASSWORD)).status).toBe(200);
      // And the owner's logins give unknown devices no new attempts.
      expect(await guess(a, ALICE.email)).toMatchObject(limited('guesses-account'));
    });

    it('treat a device token of another account, or of none, as an unknown device', async () => {
      const bob = await loggedIn(a, BOB);
      await guesses(10, () => guess(a, ALICE.email));
      for (const token of [bob.deviceToken!, 'x'.repeat(43), '\u00ff'])
        expect(await guess(a, ALICE.email, { headers: { 'x-device-token': token } })).toMatchObject(
          limited('guesses-account'),
        );
    });

    it('limit a stolen known device like unknown ones, and affect no other device', async () => {
      const [stolen, other] = [await loggedIn(a, ALICE), await loggedIn(a, ALICE)];
      const headers = { 'x-device-token': stolen.deviceToken! };
      const answers = await guesses(10, (index) => guess(both(index), ALICE.email, { headers }));
      expect(answers.every(({ status }) => status === 401)).toBe(true);
      expect(await guess(a, ALICE.email, { headers })).toMatchObject(limited('guesses-known', 30));
      expect((await guess(a, ALICE.email, { password: PASSWORD })).status).toBe(200);
      const theirs = { 'x-device-token': other.deviceToken! };
      expect((await guess(a, ALICE.email, { password: PASSWORD, headers: theirs })).status).toBe(200);
    });

    it.each(['banned', 'unverified'])(
      'do not reveal whether the password of a user who is %s is right [AUT-01]',
      async (what) => {
        const strict = await start({ EMAIL_VERIFICATION: 'required' });
        const email = newEmail();
        await strict.query(
          `insert into users (id, email, password_hash, created_at, banned_at, email_verified_at)
           select gen_random_uuid(), $1, password_hash, now(), $3, $4 from users where id = $2`,
          [email, ALICE.id, ...(what === 'banned' ? [new Date(), new Date()] : [null, null])],
        );
        for (const password of [PASSWORD, WRONG]) {
          await forgetAll();
          const answers = await guesses(11, () => guess(strict, email, { password }));
          expect(answers.map(({ status }) => status)).toEqual([...Array(10).fill(401), 429]);
        }
        await strict.close();
      },
    );

    it('count reauthentications per session [AUT-03, STP-04]', async () => {
      const alice = await loggedIn(a, ALICE);
      const again = (password: string) => alice.copy().post('/v1/auth/reauthenticate', { password });
      await guesses(10, () => guess(a, ALICE.email));
      expect((await again(PASSWORD)).status).toBe(200);

      const thief = await loggedIn(a, BOB);
      const answers = await guesses(12, () =>
        thief.copy().post('/v1/auth/reauthenticate', { password: WRONG }),
      );
      expect(answers.map(({ status }) => status)).toEqual([...Array(10).fill(401), 429, 429]);
      expect(answers.at(-1)).toMatchObject(limited('guesses-known', 30));
      expect((await thief.get('/v1/users/me')).status).toBe(200);
      expect((await guess(a, BOB.email, { password: PASSWORD })).status).toBe(200);
    });
  });

  describe('for unknown devices', () => {
    const spray = (app: TestApp, count: number, attempt: (index: number) => Attempt) => {
      verify.mockResolvedValue(false);
      return guesses(count, (index) => guess(app, newEmail(), attempt(index)), 20);
    };

    it('hold for an address that tries one account after another [AUT-04]', async () => {
      const ip = newAddress();
      const answers = await spray(a, 100, () => ({ ip }));
      expect(answers.some(isLimited)).toBe(false);
      expect(await guess(b, ALICE.email, { ip })).toMatchObject(limited('guesses-address'));
      expect(await guess(b, ALICE.email)).toMatchObject(DENIED);
    });

    it.each([
      ['198.51.100.66', '203.0.113.20'],
      ['[2001:db8:5::66]', '[2001:db8:6::1]'],
    ])(
      'distinguish clients behind a proxy that writes ports: %s and %s [AUT-04]',
      async (attacker, other) => {
        await spray(a, 100, (index) => ({ ip: `${attacker}:${5_000 + index}` }));
        expect(await guess(a, ALICE.email, { ip: `${attacker}:80` })).toMatchObject(
          limited('guesses-address'),
        );
        expect(await guess(a, ALICE.email, { ip: `${other}:80` })).toMatchObject(DENIED);
      },
    );

    it('hold for a /64, whatever addresses of it are used', async () => {
      await spray(a, 100, (index) => ({ ip: `2001:db8:7:7:${index.toString(16)}::${index + 1}` }));
      expect(await guess(a, ALICE.email, { ip: '2001:db8:7:7::1' })).toMatchObject(
        limited('guesses-address'),
      );
      expect(await guess(a, ALICE.email, { ip: '2001:db8:7:8::1' })).toMatchObject(DENIED);
    });

    it('do not count right passwords: an office logs in all day', async () => {
      const ip = newAddress();
      verify.mockResolvedValue(true);
      for (const { status } of await guesses(101, () => guess(a, BOB.email, { ip, password: PASSWORD })))
        expect(status).toBe(200);
      // An attempt that is refused for the account's sake does not count against the address either.
      verify.mockResolvedValue(false);
      await guesses(120, () => guess(a, ALICE.email, { ip }), 20);
      expect(await guess(a, 'new@example.com', { ip })).toMatchObject(DENIED);
    });

    it('ignore headers of a client that is no trusted proxy [AUT-04]', async () => {
      const open = await start({ TRUSTED_PROXIES: '10.0.0.0/8' });
      const answers = await spray(open, 101, (index) => {
        const ip = `198.51.100.${index}`;
        return {
          ip,
          headers: { forwarded: `for=${ip}`, 'x-real-ip': ip, 'x-client-ip': ip, 'cf-connecting-ip': ip },
        };
      });
      await open.close();
      expect(answers.filter(isLimited)).toMatchObject([limited('guesses-address')]);
    });

    it('use the entry that a trusted proxy adds, and no entry that it passes on [AUT-04]', async () => {
      const answers = await spray(a, 101, (index) => ({ ip: `203.0.113.${index}, 192.0.2.99` }));
      expect(answers.filter(isLimited)).toHaveLength(1);
    });

    it('count all invalid addresses as one client', async () => {
      const answers = await spray(a, 101, (index) => ({ ip: `no address ${index}` }));
      expect(answers.filter(({ status }) => status >= 500)).toEqual([]);
      expect(answers.filter(isLimited)).toHaveLength(1);
    });

    it('hold for a botnet; no single client can trigger this limit, and it does not affect known devices [AUT-04]', async () => {
      const alice = await loggedIn(a, ALICE);
      const one = newAddress();
      await spray(a, 500, () => ({ ip: one }));
      const bots = Array.from({ length: 10 }, newAddress);
      await spray(b, 499, (index) => ({ ip: bots[index % 10]! }));
      verify.mockImplementation(genuine);
      expect(await guess(a, BOB.email, { password: PASSWORD })).toMatchObject({ status: 200 });
      expect(await guess(a, BOB.email)).toMatchObject(DENIED);
      expect(await guess(a, BOB.email, { password: PASSWORD })).toMatchObject(limited('guesses-everyone'));
      const headers = { 'x-device-token': alice.deviceToken! };
      expect((await guess(a, ALICE.email, { password: PASSWORD, headers })).status).toBe(200);
    });
  });

  describe('of a named policy', () => {
    class Route {
      @Throttled('password_forgot')
      forgot(): void {}
    }
    /** Before any other check. */
    const admit = async (app: TestApp, email: string, ip = newAddress()) => {
      const request = { id: 'x', clientAddress: ip, headers: {}, body: { email } };
      const context = {
        getClass: () => Route,
        getHandler: () => Route.prototype.forgot,
        switchToHttp: () => ({ getRequest: () => request }),
      } as never;
      try {
        await app.get(ThrottleGuard).canActivate(context);
        return 'admitted';
      } catch (problem) {
        return (problem as Problem).options.headers!['ratelimit']!.split('"')[1];
      }
    };

    it('count an account in every spelling, for all callers together [RST-05]', async () => {
      for (const email of [
        'a@b.example',
        'A@b.example',
        'a@b\u3002example',
        'a@B.EXAMPLE',
        'a@\uff42.example',
      ])
        expect(await admit(a, email)).toBe('admitted');
      expect(await admit(b, 'A@B.example')).toBe('password_forgot-account');
      expect(await admit(b, 'c@b.example')).toBe('admitted');
    });

    it('keep a share of the global limit for other clients [RST-05]', async () => {
      const ip = newAddress();
      const outcomes: unknown[] = [];
      for (let index = 0; index < 150; index += 1) outcomes.push(await admit(a, `${index}@one.example`, ip));
      expect(outcomes.filter((outcome) => outcome === 'admitted')).toHaveLength(30);
      expect(new Set(outcomes.slice(30))).toEqual(new Set(['password_forgot-address']));
      for (let index = 0; index < 90; index += 1)
        expect(await admit(b, `${index}@all.example`)).toBe('admitted');
      expect(await admit(b, 'next@all.example')).toBe('password_forgot-everyone');
    });

    it('count a caller, on routes that know one, on all instances together', async () => {
      class Route {
        @Throttled('email_change')
        change(): void {}
      }
      const ask = (app: TestApp, userId: string) => {
        const request = { id: 'x', clientAddress: newAddress(), headers: {}, user: { userId } };
        const context = {
          getClass: () => Route,
          getHandler: () => Route.prototype.change,
          switchToHttp: () => ({ getRequest: () => request, getResponse: () => undefined }),
        };
        return Promise.resolve(app.get(CallerLimitGuard).canActivate(context as never)).then(
          () => 'admitted',
          ({ options }: Problem) => options.headers!['ratelimit']!.split('"')[1],
        );
      };
      for (let index = 0; index < 5; index += 1) expect(await ask(both(index), ALICE.id)).toBe('admitted');
      expect(await ask(a, ALICE.id)).toBe('email_change-user');
      expect(await ask(b, BOB.id)).toBe('admitted');
    });

    it('throttle registration from one address', async () => {
      const ip = newAddress();
      const register = (index: number, from = ip) =>
        both(index)
          .client()
          .post(
            '/v1/auth/register',
            { email: 'x@y', password: 'short' },
            { headers: { 'x-forwarded-for': from } },
          );
      const answers = await guesses(101, (index) => register(index));
      expect(answers.slice(0, 100).every(({ status }) => status === 400)).toBe(true);
      expect(answers[100]).toMatchObject(limited('register-address'));
      expect((await register(0, newAddress())).status).toBe(400);
    });

    it('throttle a refresh token that is presented again and again, and log no client out', async () => {
      const alice = await loggedIn(a, ALICE);
      const shown = 'A'.repeat(74);
      const show = (refreshToken: string) =>
        a
          .client()
          .post('/v1/auth/refresh', { refreshToken }, { headers: { 'x-forwarded-for': newAddress() } });
      const answers = await guesses(61, () => show(shown));
      expect(answers.slice(0, 60).every(({ status }) => status === 401)).toBe(true);
      expect(answers[60]).toMatchObject(limited('refresh-token'));
      expect(answers[60]!.setCookies).toEqual([]);
      const byCookie = await a.client().post('/v1/auth/refresh', undefined, {
        headers: { cookie: `a=b; ${COOKIES.refresh}=${shown}` },
      });
      expect(byCookie).toMatchObject(limited('refresh-token'));
      const shop = await start({ COOKIE_PREFIX: 'shop' });
      const showTo = (name: string) =>
        shop.client().post('/v1/auth/refresh', undefined, { headers: { cookie: `${name}=${shown}` } });
      const answersOfShop = [await showTo('__Host-shop-refresh'), await showTo(COOKIES.refresh)];
      await shop.close();
      expect(answersOfShop).toMatchObject([limited('refresh-token'), { status: 401 }]);
      expect((await alice.refresh()).status).toBe(200);
    });
  });

  describe('as audit events', () => {
    const events = (type: string) =>
      a.query<{ user_id: string | null; ip: string; details: object }>(
        'select user_id, ip, details from audit_events where type = $1 order by id',
        [type],
      );

    it('are recorded once, however long an attack lasts, and for a bounded number of accounts [LOG-01]', async () => {
      const quiet = await start();
      const before = (await events('authn_login_fail_max')).length;
      await guesses(60, () => guess(quiet, ALICE.email, { ip: '192.0.2.1' }));
      const [event, ...others] = (await events('authn_login_fail_max')).slice(before);
      expect(others).toEqual([]);
      expect(event).toEqual({
        user_id: ALICE.id,
        ip: '192.0.2.1',
        details: { policy: 'guesses-account', secret: 'password' },
      });

      verify.mockResolvedValue(false);
      for (let account = 0; account < 40; account += 1)
        await guesses(11, (index) =>
          guess(quiet, `flood${account}@example.com`, { ip: `192.0.2.${10 + (account % 8) + index}` }),
        );
      const flood = (await events('authn_login_fail_max')).length - before;
      expect(flood).toBeGreaterThan(20);
      expect(flood).toBeLessThanOrEqual(30);

      const { text } = await quiet.client().get('/metrics');
      expect(text).toContain(`${PRODUCT.metricPrefix}throttled_total{policy="guesses-account"} 90`);
      clock.advance(10 * MINUTE);
      await guesses(2, () => guess(quiet, ALICE.email));
      expect((await events('authn_login_fail_max')).length - before).toBe(flood + 1);
      await quiet.close();
    });
  });

  describe('while Redis', () => {
    const answers = (app: TestApp) =>
      eventually(async () => expect((await app.client().get('/health/ready')).body.cache).toBe('ok'));

    it('is down are stricter and per instance; when it is back they are shared [AUT-05]', async () => {
      await redis!.stop();
      try {
        for (const app of [a, b]) {
          const alone = await guesses(8, () => guess(app, ALICE.email));
          expect(alone.map(({ status }) => status)).toEqual([...Array(5).fill(401), 429, 429, 429]);
          expect(alone.at(-1)).toMatchObject(limited('guesses-account', 30));
        }
        const forged = await guesses(101, (index) =>
          guess(a, `${index}@example.com`, { ip: '203.0.113.200' }),
        );
        expect(forged.filter(isLimited)).toHaveLength(51);
        expect((await guess(a, BOB.email, { password: PASSWORD })).status).toBe(200);
      } finally {
        await redis!.restart();
      }
      await Promise.all([a, b].map(answers));
      // The breaker lets one request through each half second.
      await eventually(async () => {
        const email = newEmail();
        verify.mockResolvedValue(false);
        await guesses(10, (index) => guess(both(index), email));
        expect((await guess(a, email)).status).toBe(429);
        expect((await guess(b, email)).status).toBe(429);
        const fresh = newEmail();
        const together = await guesses(11, (index) => guess(both(index), fresh));
        expect(together.map(({ status }) => status)).toEqual([...Array(10).fill(401), 429]);
      });
    });

    it('does not answer wait for it no longer than the budget, and then not at all', async () => {
      let asked = 0;
      const node = {
        isMaster: true,
        attempt: () => {
          asked += 1;
          return new Promise(() => undefined);
        },
      };
      const servers = { nodeFor: () => node } as unknown as RedisServers;
      const steady = new TestClock();
      jest.spyOn(steady, 'monotonic').mockReturnValue(0);
      const counters = new RedisCounters(servers, 5, steady);
      for (let index = 0; index < 10; index += 1)
        await expect(counters.del('key')).rejects.toThrow(/unavailable|no answer/);
      expect(asked).toBe(1);
      jest.mocked(steady.monotonic).mockReturnValue(500);
      for (let index = 0; index < 10; index += 1)
        await expect(counters.del('key')).rejects.toThrow(/unavailable|no answer/);
      expect(asked).toBe(2);
    });
  });

  it('are off with RATE_LIMITS=off', async () => {
    const off = await start({ RATE_LIMITS: 'off' });
    verify.mockResolvedValue(false);
    const ip = newAddress();
    const answers = await guesses(120, () => guess(off, ALICE.email, { ip }), 20);
    expect(answers.some(isLimited)).toBe(false);
    await off.close();
  });
});

const cluster = await startRedisCluster({ masters: 3 });

/** Real: a Redis Cluster of three masters, two instances over HTTP. */
describeWithOwnRedis(cluster, 'limits that instances share through a Redis Cluster', () => {
  let a: TestApp;
  let b: TestApp;

  beforeAll(async () => {
    const env = { REDIS_URL: cluster!.url, RATE_LIMITS: 'on', CACHE_BUDGET: '1s' };
    [a, b] = [await startApp({ env }), await startApp({ env })];
  });
  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await cluster!.stop();
  });

  it('hold for each account, on whatever node it is', async () => {
    verify.mockReset().mockResolvedValue(false);
    for (const name of ['one', 'two', 'three', 'four', 'five', 'six']) {
      const burst = Array.from({ length: 16 }, (_, index) => guess(index % 2 ? a : b, `${name}@example.com`));
      expect((await Promise.all(burst)).filter(({ status }) => status === 401)).toHaveLength(10);
    }
  });
});

/** Real: an instance over HTTP that has no Redis. Simulated: the clock. */
describe('limits of one instance', () => {
  const clock = new TestClock();
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({
      clock,
      env: { REDIS_URL: undefined, RATE_LIMITS: 'on', TRUSTED_PROXIES: '127.0.0.1', SESSION_LIMIT: '1000' },
    });
  });
  afterAll(() => app.close());

  it('are the same without Redis', async () => {
    verify.mockReset().mockImplementation(genuine);
    const burst = await Promise.all(Array.from({ length: 60 }, () => guess(app, ALICE.email)));
    expect(burst.filter(({ status }) => status === 401)).toHaveLength(10);
    expect(burst.find(isLimited)).toMatchObject(limited('guesses-account', 30));
    clock.advance(30_000);
    expect((await guess(app, ALICE.email, { password: PASSWORD })).status).toBe(200);
  });

  it('allow a password reset, which ends them, so that an owner is never locked out for good [AUT-06]', async () => {
    verify.mockReset().mockImplementation(genuine);
    const mailbox = new Mailbox(app);
    await mailbox.collect();
    await guesses(12, () => guess(app, BOB.email));
    expect(await guess(app, BOB.email, { password: PASSWORD })).toMatchObject(limited('guesses-account'));
    await app.client().post('/v1/auth/password/forgot', { email: BOB.email });
    const newPassword = 'the kettle sings at noon';
    const token = await mailbox.tokenFor(BOB.email);
    expect((await app.client().post('/v1/auth/password/reset', { token, newPassword })).status).toBe(204);
    expect((await guess(app, BOB.email, { password: newPassword })).status).toBe(200);
    await resetStores();
    await seedUsers(app.app);
  });

  it('end with their window', async () => {
    verify.mockReset().mockResolvedValue(false);
    const ip = newAddress();
    await guesses(100, (index) => guess(app, `${index}@example.com`, { ip }));
    expect(await guess(app, ALICE.email, { ip })).toMatchObject(limited('guesses-address'));
    clock.advance(HOUR);
    expect(await guess(app, ALICE.email, { ip })).toMatchObject(DENIED);
  });

  it('of @RateLimit() are per caller, and each answer has the remaining number [AUT-11]', async () => {
    verify.mockReset().mockImplementation(genuine);
    const [alice, bob] = [await loggedIn(app, ALICE), await loggedIn(app, BOB)];
    const second = await loggedIn(app, ALICE);
    const first = await alice.get('/v1/probe/flags');
    expect(first).toMatchObject({
      status: 200,
      headers: { 'ratelimit-policy': '"caller";q=600;w=60', ratelimit: '"caller";r=599;t=60' },
    });
    const answers = await guesses(600, () => alice.get('/v1/probe/flags'));
    expect(answers.filter(isLimited)).toHaveLength(1);
    expect(answers[599]).toMatchObject(limited('caller'));
    expect(await second.get('/v1/probe/flags')).toMatchObject(limited('caller'));
    expect((await alice.get('/v1/auth/whoami')).status).toBe(200);
    expect((await bob.get('/v1/probe/flags')).status).toBe(200);
    clock.advance(MINUTE);
    expect((await alice.get('/v1/probe/flags')).status).toBe(200);
  });
});
