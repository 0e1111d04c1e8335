import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { createLogger } from '../src/platform/logging/logger.js';
import { SERVICE } from '../src/platform/runtime/version.js';
import { RevocationService } from '../src/sessions/revocation/revocation.service.js';
import {
  ADMIN,
  ALICE,
  BOB,
  holdBackgroundWork,
  PASSWORD,
  resetStores,
  startApp,
  type TestApp,
} from './support/app.js';
import type { Answer } from './support/client.js';
import { loggedIn, createUser } from './support/test-users.js';
import { enrol } from './support/second-factor.js';
import { PRODUCT } from '../src/product.js';
import { COOKIES } from './support/cookies.js';
import { undocumentedFields } from './support/log-fields.js';

/** Real: an instance over HTTP, PostgreSQL, its log and its audit log. */

const lines: string[] = [];
const logger = pino(
  { level: 'info', base: SERVICE, timestamp: pino.stdTimeFunctions.isoTime },
  { write: (line: string) => void lines.push(line) },
);
const read = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
const hashOf = (id: string) => createHash('sha256').update(id).digest('base64url').slice(0, 16);

let app: TestApp;

beforeAll(async () => {
  await resetStores();
  app = await startApp({
    logger,
    env: { REDIS_URL: undefined, RATE_LIMITS: 'on', TRUSTED_PROXIES: '127.0.0.1', SESSION_LIMIT: '1000' },
  });
  holdBackgroundWork(app); // a mail that is sent meanwhile has a line of its own
});
/** Of all lines of this file. */
const undocumented = new Set<string>();
afterEach(() => {
  for (const line of read()) for (const field of undocumentedFields(line)) undocumented.add(field);
});
afterAll(async () => {
  await app.close();
  // docs/reference/logs.md
  expect([...undocumented]).toEqual([]);
});
beforeEach(() => void (lines.length = 0));

const login = (password = PASSWORD, email = ALICE.email) => app.client().login(email, password);

describe('the line of a request', () => {
  /** The one request line since the act began that has an event. */
  async function lineOf(act: () => Promise<unknown>): Promise<Record<string, unknown> | undefined> {
    lines.length = 0;
    await act();
    const requests = read().filter(({ msg }) => msg === 'request');
    return requests.findLast(({ event }) => event !== undefined);
  }

  it('has time, event, outcome, user, request context, request id and release [LOG-02]', async () => {
    const alice = app.client();
    alice.headers = { 'user-agent': 'Browser/1.0', 'x-forwarded-for': '203.0.113.7' };
    let answer: Answer | undefined;
    const line = await lineOf(async () => (answer = await alice.login(ALICE.email, PASSWORD)));
    const { id } = answer!.body.session;
    expect(line).toEqual({
      level: 30,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      service: PRODUCT.slug,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      msg: 'request',
      requestId: answer!.headers['x-request-id'],
      method: 'POST',
      route: '/v1/auth/login',
      status: 200,
      ms: expect.any(Number),
      event: 'session_created',
      outcome: 'success',
      actorType: 'user',
      actorId: ALICE.id,
      session: hashOf(id),
      ip: '203.0.113.7',
      userAgent: 'Browser/1.0',
    });
    expect(lines.join()).not.toContain(id);

    const [event] = await app.query('select * from audit_events where request_id = $1', [line!['requestId']]);
    expect(event).toMatchObject({
      at: expect.any(Date),
      type: 'authn_login_success',
      actor_id: ALICE.id,
      user_id: ALICE.id,
      session_id: id,
      ip: '203.0.113.7',
      user_agent: 'Browser/1.0',
      details: { transport: 'cookie' },
    });
  });

  const expired = async () => {
    const alice = await loggedIn(app, ALICE);
    await app.get(RevocationService).endSession(alice.id, { reason: 'admin', actorId: null, context: null });
    return alice;
  };
  const floodOfFlags = async () => {
    const bob = await loggedIn(app, BOB);
    for (let count = 0; count < 601; count += 1) await bob.get('/v1/probe/flags');
  };
  const happenings: [string, string | undefined, () => Promise<unknown>][] = [
    ['session_renewed', undefined, async () => (await loggedIn(app, ALICE)).refresh()],
    ['session_use_after_expire', 'auth.session_ended', async () => (await expired()).get('/v1/users/me')],
    ['session_use_after_expire', 'auth.session_ended', async () => (await expired()).get('/v1/probe/flags')],
    ['session_use_after_expire', 'auth.session_ended', async () => (await expired()).refresh()],
    ['authz_fail', 'auth.forbidden', async () => (await loggedIn(app, ALICE)).get('/v1/admin/users')],
    [
      'authz_fail',
      'auth.invalid_key',
      () => app.client().get('/v1/probe/flags', { headers: { 'x-api-key': 'x' } }),
    ],
    [
      'authz_fail',
      'auth.invalid_token',
      () => app.client().get('/v1/users/me', { headers: { authorization: 'Bearer forged' } }),
    ],
    ['input_validation_fail', 'request.invalid', () => app.client().post('/v1/auth/login', { email: 1 })],
    [
      'input_validation_fail',
      'request.too_large',
      () => app.client().post('/v1/auth/login', 'x'.repeat(20_000)),
    ],
    [
      'malicious_cors',
      'request.cross_site',
      () => app.client().post('/v1/auth/logout', undefined, { headers: { 'sec-fetch-site': 'cross-site' } }),
    ],
    [
      'malicious_extraneous',
      'auth.ambiguous_credentials',
      () =>
        app.client().get('/v1/users/me', { headers: { cookie: `${COOKIES.access}=a; ${COOKIES.access}=b` } }),
    ],
    ['excess_rate_limit_exceeded', 'request.rate_limited', floodOfFlags],
  ];

  it.each(happenings)(
    'names the event in the OWASP vocabulary: %s (%s) [LOG-01, COK-05]',
    async (event, reason, act) => {
      const line = await lineOf(act);
      expect(line).toMatchObject({ event, outcome: reason ? 'failure' : 'success' });
      expect(line!['reason']).toBe(reason);
      const isKnown = !/invalid|too_large|cross_site|ambiguous/.test(String(reason));
      expect(line).toMatchObject(
        isKnown ? { actorType: 'user', session: expect.any(String) } : { actorType: 'anonymous' },
      );
    },
  );

  it('is one for every request, so that refused requests cannot multiply log lines [LOG-01]', async () => {
    const statements = await app.query('select count(*) from audit_events');
    for (let count = 0; count < 50; count += 1)
      await app.client().get('/v1/users/me', { headers: { authorization: `Bearer forged${count}` } });
    expect(read().map(({ event }) => event)).toEqual(Array.from({ length: 50 }, () => 'authz_fail'));
    expect(await app.query('select count(*) from audit_events')).toEqual(statements);
  });

  it('names no event where none has happened', async () => {
    const alice = await loggedIn(app, ALICE);
    lines.length = 0;
    await alice.get('/v1/users/me');
    await app.client().get('/v1/users/me');
    await app.client().get('/nowhere');
    app.clock.advance(16 * 60_000);
    await alice.get('/v1/probe/flags');
    const requests = read().filter(({ msg }) => msg === 'request');
    expect(requests.map(({ status, event, ip }) => [status, event, ip])).toEqual(
      [200, 401, 404, 401].map((status) => [status, undefined, undefined]),
    );
  });

  it('cannot be forged by user input [LOG-04]', async () => {
    const forged = '{"level":30,"event":"session_created"}';
    for (const evil of [
      '\u001b[2J',
      '\u0085',
      `"}`,
      '\u00a0',
      '\u007f',
      `\t${forged}`,
      `\\n${forged}`,
      '\ud83e\udd8a',
    ]) {
      const client = app.client();
      client.headers = { 'user-agent': `A${evil}B`, 'x-forwarded-for': `203.0.113.9${evil}` };
      await client.post('/v1/auth/login', { email: `a${evil}@example.com`, password: evil });
      await client.get(`/v1/users/me?x=${encodeURIComponent(evil)}`, {
        headers: { authorization: `Bearer ${evil}x` },
      });
      await client.login(ALICE.email, PASSWORD);
    }
    expect(lines.length).toBeGreaterThan(20);
    for (const line of lines) {
      expect(line).toMatch(/^\{[^\p{Cc}\u2028\u2029]*\}\n$/u);
      expect(JSON.parse(line)).toMatchObject({ service: PRODUCT.slug, msg: expect.any(String) });
    }
    const stored = await app.query<{ user_agent: string }>('select user_agent from audit_events');
    for (const { user_agent: agent } of stored) expect(agent ?? '').not.toMatch(/[\p{Cc}\u2028\u2029]/u);
  });

  it('is JSON with the name of the release in the shipped configuration [LOG-02, LOG-04]', () => {
    expect(createLogger('info', false).bindings()).toEqual(SERVICE);
  });
});

describe('the audit log', () => {
  const newest = async () =>
    (
      await app.query('select type, actor_id, user_id, details from audit_events order by id desc limit 1')
    )[0];

  it('marks a login that follows failed attempts of others [LOG-01]', async () => {
    for (let count = 0; count < 3; count += 1) expect((await login('not her password')).status).toBe(401);
    expect(await newest()).toMatchObject({ type: 'authn_login_fail', user_id: ALICE.id });
    expect((await login()).status).toBe(200);
    expect(await newest()).toMatchObject({
      type: 'authn_login_successafterfail',
      user_id: ALICE.id,
      details: { failedBefore: 3 },
    });
    expect((await login()).status).toBe(200);
    expect(await newest()).toMatchObject({ type: 'authn_login_success' });
  });

  it('records a correct password after wrong ones even if the second factor stopped the login [LOG-01]', async () => {
    const { email } = await createUser(app);
    await enrol(app, await loggedIn(app, { email }));
    const asked = async (password: string) => (await app.client().login(email, password)).status;
    for (let count = 0; count < 3; count += 1) expect(await asked('a guess')).toBe(401);
    expect(await asked(PASSWORD)).toBe(200);
    expect(await newest()).toMatchObject({ type: 'authn_second_factor_asked', details: { failedBefore: 3 } });
    expect(await asked(PASSWORD)).toBe(200);
    expect((await newest())!['details']).toEqual({});
  });

  it('records its readers and their filters; a read that cannot be recorded is refused [LOG-05]', async () => {
    const admin = await loggedIn(app, ADMIN);
    const read = () => admin.get(`/v1/admin/audit-events?userId=${ALICE.id}&type=user_banned`);
    expect((await read()).status).toBe(200);
    expect(await newest()).toEqual({
      type: 'sensitive_read',
      actor_id: ADMIN.id,
      user_id: null,
      details: { object: 'audit_events', userId: ALICE.id, type: 'user_banned' },
    });
    await app.query('alter table audit_events add constraint nothing_more check (id < 0) not valid');
    try {
      expect((await read()).status).toBe(500);
    } finally {
      await app.query('alter table audit_events drop constraint nothing_more');
    }
  });
});
