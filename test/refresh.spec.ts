import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import type { Transport } from '../src/sessions/session.entity.js';
import { RevocationService } from '../src/sessions/revocation/revocation.service.js';
import { ADMIN, ALICE, resetClock, resetStores, startApp, TEST_KEYS, type TestApp } from './support/app.js';
import { Client, type Answer } from './support/client.js';
import { expectBothTiers, loggedIn, sessionTier, type Person } from './support/test-users.js';
import { describeWithRedis } from './support/redis.js';
import { connect, disconnect, eventually, untilBlocked } from './support/waiting.js';
import { COOKIES } from './support/cookies.js';

/** Real: PostgreSQL, Redis, one to three instances of the application over HTTP. Controlled: the clock. */

const DAY = 86_400_000;
const MINUTE = 60_000;
const GRACE = 10_000;
const ACCESS = '/v1/probe/flags';
const SESSION = '/v1/sessions/current';
const REFRESH = '/v1/auth/refresh';
const ended = (reason: string) => ({ status: 401, body: { code: 'auth.session_ended', reason } });
const problem = (status: number, code: string) => ({ status, body: { code } });

const TRANSPORTS: Transport[] = ['cookie', 'bearer'];

/** The same client without its device token, like an attacker who copied the tokens alone. */
function withoutDevice(client: Client): Client {
  const thief = client.copy();
  thief.jar.delete(COOKIES.device);
  thief.deviceToken = undefined;
  return thief;
}

const refreshTokenOf = (client: Client) => client.refreshToken ?? client.jar.get(COOKIES.refresh)!;

afterEach(disconnect);

describe.each(TRANSPORTS)('refresh, by %s', (transport) => {
  let a: TestApp;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
    a = await startApp({ env: { SESSION_LIMIT: '1000' } });
  });
  afterAll(() => a.close());
  beforeEach(async () => {
    await resetClock(a);
    alice = await loggedIn(a, ALICE, transport);
  });

  it('gives a new pair on the transport of the session, and keeps the session', async () => {
    const before = refreshTokenOf(alice);
    a.clock.advance(MINUTE);
    const answer = await alice.refresh();
    expect(answer).toMatchObject({
      status: 200,
      body: { session: { id: alice.id, transport, status: 'active' } },
    });
    expect(refreshTokenOf(alice)).not.toBe(before);
    await expectBothTiers(alice, { status: 200 });
    if (transport === 'cookie') {
      expect(answer.text).not.toContain(refreshTokenOf(alice));
      expect(answer.body.accessToken).toBeUndefined();
    } else {
      expect(answer.setCookies).toEqual([]);
    }
  });

  it('makes the session neither fresher nor longer [REF-07, REF-10]', async () => {
    const before = (await alice.get(SESSION)).body;
    a.clock.advance(6 * MINUTE);
    await alice.refresh();
    const after = (await alice.get(SESSION)).body;
    expect(after).toMatchObject({ authenticatedAt: before.authenticatedAt, expiresAt: before.expiresAt });
    expect(Date.parse(after.lastSeenAt)).toBeGreaterThan(Date.parse(before.lastSeenAt));
    expect(await alice.delete('/v1/users/me')).toMatchObject(problem(401, 'auth.reauthentication_required'));
  });

  it('reads the user again, so that the next token has new roles [REF-09]', async () => {
    const admin = await loggedIn(a, ADMIN, 'bearer');
    const setRoles = (roles: string[]) => admin.put(`/v1/admin/users/${ALICE.id}/roles`, { roles });
    await setRoles(['user', 'admin']);
    expect((await alice.get('/v1/auth/whoami')).body.roles).toEqual(['user']);
    await alice.refresh();
    expect((await alice.get('/v1/auth/whoami')).body.roles).toEqual(['user', 'admin']);
    await setRoles(['user']);
    await alice.refresh();
    expect((await alice.get('/v1/auth/whoami')).body.roles).toEqual(['user']);
  });

  describe('without the device token', () => {
    it('a token works once', async () => {
      const bare = withoutDevice(alice);
      for (let round = 0; round < 5; round++) {
        a.clock.advance(MINUTE);
        expect((await bare.refresh()).status).toBe(200);
      }
      await expectBothTiers(bare, { status: 200 });
    });

    it.each(['at once', 'much later'])(
      'a second use ends the session and all of its tokens, %s [REF-04, REF-05, REF-06]',
      async (when) => {
        const bare = withoutDevice(alice);
        const copied = bare.copy();
        expect((await bare.refresh()).status).toBe(200);
        await expectBothTiers(bare, { status: 200 }); // and the session is cached
        if (when === 'much later') a.clock.advance(10 * MINUTE);
        expect(await copied.refresh()).toMatchObject(ended('refresh_reuse'));
        for (const client of [bare, copied, alice]) {
          await expectBothTiers(client, ended('refresh_reuse'));
          expect(await client.refresh()).toMatchObject(ended('refresh_reuse'));
        }
        expect(await a.query('select status, end_reason from sessions where id = $1', [alice.id])).toEqual([
          { status: 'ended', end_reason: 'refresh_reuse' },
        ]);
      },
    );

    it('a second use is recorded with both request contexts, and without any token [LOG-01, LOG-03]', async () => {
      const bare = withoutDevice(alice);
      const tokens = [refreshTokenOf(bare)];
      const copied = bare.copy();
      await bare.refresh();
      tokens.push(refreshTokenOf(bare));
      const body = transport === 'bearer' ? { refreshToken: tokens[0] } : undefined;
      copied.accessToken = undefined;
      const thief = { 'user-agent': 'Thief/1.0' };
      expect(await copied.post(REFRESH, body, { headers: thief })).toMatchObject(ended('refresh_reuse'));
      const events = await a.query(
        `select * from audit_events where session_id = $1 and type = 'authn_token_reuse'`,
        [alice.id],
      );
      expect(events).toEqual([
        expect.objectContaining({
          user_id: ALICE.id,
          actor_id: null,
          ip: '127.0.0.1',
          user_agent: 'Thief/1.0',
          details: expect.objectContaining({
            reason: 'refresh_reuse',
            presented: expect.objectContaining({ withDeviceToken: false }),
            session: expect.objectContaining({ ip: '127.0.0.1', userAgent: 'lightMyRequest' }),
          }),
        }),
      ]);
      for (const token of tokens) expect(JSON.stringify(events)).not.toContain(token);
    });

    it('two simultaneous uses count as two [REF-04]', async () => {
      const bare = withoutDevice(alice);
      const answers = await Promise.all([bare.copy().refresh(), bare.copy().refresh()]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
      expect(await bare.refresh()).toMatchObject(ended('refresh_reuse'));
    });

    it('a wrong device token counts as none', async () => {
      const stranger = await loggedIn(a, ADMIN, transport);
      const copied = alice.copy();
      copied.deviceToken &&= stranger.deviceToken;
      if (transport === 'cookie') copied.jar.set(COOKIES.device, stranger.jar.get(COOKIES.device)!);
      expect((await copied.copy().refresh()).status).toBe(200);
      expect(await copied.refresh()).toMatchObject(ended('refresh_reuse'));
    });
  });

  describe('with the device token', () => {
    it.each([
      ['at once', 0],
      ['within REFRESH_GRACE', GRACE - 1_000],
      ['after REFRESH_GRACE', GRACE + 1_000],
      ['a day later', DAY],
    ])('a client that lost the answer and retries %s has a pair that works', async (_, later) => {
      a.clock.advance(DAY);
      const lost = alice.copy();
      expect((await lost.refresh()).status).toBe(200); // the client never receives this answer
      a.clock.advance(later);
      expect((await alice.refresh()).status).toBe(200);
      await expectBothTiers(alice, { status: 200 });
      if (later < GRACE) expect(refreshTokenOf(alice)).toBe(refreshTokenOf(lost));
      for (let round = 0; round < 3; round++) {
        a.clock.advance(DAY);
        expect((await alice.refresh()).status).toBe(200);
      }
      await expectBothTiers(alice, { status: 200 });
    });

    it('a client that loses every other answer stays logged in', async () => {
      for (let round = 0; round < 12; round++) {
        a.clock.advance(round % 3 === 0 ? 3_000 : 20 * MINUTE);
        const asked = round % 2 === 0 ? alice.copy() : alice;
        expect((await asked.refresh()).status).toBe(200);
      }
      await expectBothTiers(alice, { status: 200 });
    });

    it('a thief who copied the tokens without it is caught at the first double use, whichever client comes second [REF-04]', async () => {
      for (const first of ['thief', 'owner']) {
        const owner = await loggedIn(a, ALICE, transport);
        const thief = withoutDevice(owner);
        a.clock.advance(DAY);
        const order = first === 'thief' ? [thief, owner] : [owner, thief];
        expect((await order[0]!.refresh()).status).toBe(200);
        a.clock.advance(MINUTE);
        expect(await order[1]!.refresh()).toMatchObject(ended('refresh_reuse'));
        await expectBothTiers(order[0]!, ended('refresh_reuse'));
      }
    });

    it('a thief who copied the whole jar is caught within two refreshes of the owner', async () => {
      const thief = alice.copy();
      a.clock.advance(DAY);
      expect((await thief.refresh()).status).toBe(200);
      const answers: Answer[] = [];
      for (let round = 0; round < 2; round++) {
        a.clock.advance(DAY);
        answers.push(await alice.refresh());
        a.clock.advance(DAY);
        answers.push(await thief.refresh());
      }
      expect(answers.some(({ body }) => body.reason === 'refresh_reuse')).toBe(true);
      for (const client of [alice, thief])
        expect(await client.refresh()).toMatchObject(ended('refresh_reuse'));
    });
  });

  describe('is refused', () => {
    const end = (reason: 'admin' | 'logout') =>
      a.get(RevocationService).endSession(alice.id, { reason, actorId: null, context: null });

    it('with the reason, when the session has ended [REF-09]', async () => {
      await end('admin');
      expect(await alice.refresh()).toMatchObject(ended('admin'));
    });

    it('with the ban, when the user is banned, and also after the ban [REF-09]', async () => {
      const admin = await loggedIn(a, ADMIN, 'bearer');
      await admin.post(`/v1/admin/users/${ALICE.id}/ban`, { reason: 'Spam' });
      expect(await alice.refresh()).toMatchObject(ended('ban'));
      await admin.delete(`/v1/admin/users/${ALICE.id}/ban`);
      expect(await alice.refresh()).toMatchObject(ended('ban'));
    });

    it('when the session is idle for too long [REF-08]', async () => {
      a.clock.advance(30 * DAY - MINUTE);
      expect((await alice.copy().refresh()).status).toBe(200);
      a.clock.advance(30 * DAY);
      expect(await alice.refresh()).toMatchObject(ended('idle'));
    });

    it('when the session is too old, with or without use [REF-07]', async () => {
      for (let month = 0; month < 3; month++) {
        a.clock.advance(29 * DAY);
        expect((await alice.refresh()).status).toBe(200);
      }
      a.clock.advance(3 * DAY);
      expect(await alice.refresh()).toMatchObject(ended('expired'));
    });

    it('without a token', async () => {
      expect(await a.client().post(REFRESH)).toMatchObject(problem(401, 'auth.unauthenticated'));
    });

    it('for any token that was never issued, and the session is unchanged [REF-13]', async () => {
      const token = refreshTokenOf(alice);
      const bytes = Buffer.from(token, 'base64url');
      const flipped = Array.from(bytes, (_, at) => {
        const copy = Buffer.from(bytes);
        copy[at]! ^= 1;
        return copy.toString('base64url');
      });
      const malformed = [
        'x',
        token.slice(0, -1),
        `${token}A`,
        `${token}=`,
        `${token.slice(0, -1)}${token.endsWith('B') ? 'C' : 'B'}`, // another encoding of the same bytes
        token.toUpperCase(),
        randomBytes(55).toString('base64url'),
        'A'.repeat(74),
        'A'.repeat(4_000),
      ];
      for (const wrong of [...flipped, ...malformed].filter((candidate) => candidate !== token)) {
        const client = alice.copy();
        client.refreshToken &&= wrong;
        client.jar.delete(COOKIES.access);
        if (transport === 'cookie') client.jar.set(COOKIES.refresh, wrong);
        expect(await client.refresh()).toMatchObject(problem(401, 'auth.invalid_token'));
      }
      expect((await alice.refresh()).status).toBe(200);
    });

    it('for a token of another server', async () => {
      const others = { ...TEST_KEYS, refreshSecrets: [{ secret: randomBytes(32) }] };
      const token = refreshTokenOf(alice);
      await a.close();
      a = await startApp({ keys: others, env: { SESSION_LIMIT: '1000' } });
      const client = transport === 'cookie' ? alice.at(a) : a.client();
      const body = transport === 'bearer' ? { refreshToken: token } : undefined;
      expect(await client.post(REFRESH, body)).toMatchObject(problem(401, 'auth.invalid_token'));
      await a.close();
      a = await startApp({ env: { SESSION_LIMIT: '1000' } });
      expect((await alice.at(a).refresh()).status).toBe(200);
    });

    it('when a restored database is older than the token, and no session is ended', async () => {
      const [backup] = await a.query<{ rotation: object }>('select rotation from sessions where id = $1', [
        alice.id,
      ]);
      for (let round = 0; round < 3; round++) {
        a.clock.advance(DAY);
        await alice.refresh();
      }
      await a.query('update sessions set rotation = $2 where id = $1', [
        alice.id,
        JSON.stringify(backup!.rotation),
      ]);
      expect(await alice.refresh()).toMatchObject(problem(401, 'auth.invalid_token'));
      expect(await a.query('select status from sessions where id = $1', [alice.id])).toEqual([
        { status: 'active' },
      ]);
    });
  });
});

describe('the transport of a session', () => {
  let a: TestApp;

  beforeAll(async () => {
    await resetStores();
    a = await startApp();
  });
  afterAll(() => a.close());

  it("is fixed: a cookie session's token is refused in a body, and vice versa [REF-11]", async () => {
    const [browser, native] = [await loggedIn(a, ALICE, 'cookie'), await loggedIn(a, ALICE, 'bearer')];
    const inBody = await a.client().post(REFRESH, { refreshToken: refreshTokenOf(browser) });
    expect(inBody).toMatchObject(problem(401, 'auth.invalid_token'));
    const cookies = a.client();
    cookies.jar.set(COOKIES.refresh, refreshTokenOf(native));
    expect(await cookies.post(REFRESH)).toMatchObject(problem(401, 'auth.invalid_token'));
    for (const client of [browser, native]) {
      expect((await client.refresh()).status).toBe(200);
      await expectBothTiers(client, { status: 200 });
    }
  });

  it('is ambiguous and refused with a cookie and a body at once [REF-11]', async () => {
    const [browser, native] = [await loggedIn(a, ALICE, 'cookie'), await loggedIn(a, ALICE, 'bearer')];
    const both = await browser.post(REFRESH, { refreshToken: refreshTokenOf(native) });
    expect(both).toMatchObject(problem(400, 'auth.ambiguous_credentials'));
    expect(both.setCookies).toEqual([]);
    expect((await native.refresh()).status).toBe(200);
    expect((await browser.refresh()).status).toBe(200);
  });
});

describeWithRedis('refresh, on several instances', () => {
  let a: TestApp;
  let b: TestApp;

  beforeAll(async () => {
    await resetStores();
    const env = { SESSION_LIMIT: '1000' };
    [a, b] = [await startApp({ env }), await startApp({ env })];
  });
  afterAll(() => Promise.all([a.close(), b.close()]));

  it.each(TRANSPORTS)(
    'fifty tabs that refresh at once make one step, and all stay logged in (%s)',
    async (transport) => {
      const alice = await loggedIn(a, ALICE, transport);
      for (let round = 0; round < 2; round++) {
        const tabs = Array.from({ length: 50 }, (_, index) => alice.copy().at([a, b][index % 2]!));
        const answers = await Promise.all(tabs.map((tab) => tab.refresh()));
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
        expect(new Set(tabs.map(refreshTokenOf)).size).toBe(1);
        await expectBothTiers(tabs.at(-1)!, { status: 200 });
        for (const clock of [a.clock, b.clock]) clock.advance(MINUTE);
        Object.assign(alice, { refreshToken: tabs[0]!.refreshToken, accessToken: tabs[0]!.accessToken });
        for (const [name, value] of tabs[0]!.jar) alice.jar.set(name, value);
      }
      expect((await alice.refresh()).status).toBe(200);
    },
  );

  it('fifty uses of a token without the device token end the session, once [REF-04]', async () => {
    const owner = await loggedIn(a, ALICE, 'bearer');
    const alice = withoutDevice(owner);
    const uses = Array.from({ length: 50 }, (_, index) =>
      alice
        .copy()
        .at([a, b][index % 2]!)
        .refresh(),
    );
    const answers = await Promise.all(uses);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const answer of answers)
      if (answer.status !== 200) expect(answer).toMatchObject(ended('refresh_reuse'));
    const events = await a.query(
      `select from audit_events where type = 'authn_token_reuse' and session_id = $1`,
      [owner.id],
    );
    expect(events).toHaveLength(1);
  });

  it('a refresh waits for a pending revocation, and is refused (R1)', async () => {
    const alice = await loggedIn(a, ALICE, 'bearer');
    const outside = await connect();
    await outside.query('begin');
    await outside.query(
      `update sessions set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
      [alice.id],
    );
    const refresh = alice.at(b).refresh();
    await untilBlocked(a, 1);
    await outside.query('commit');
    expect(await refresh).toMatchObject(ended('admin'));
  });

  it('a refresh that is decided while new keys are written is refused (R1)', async () => {
    const alice = await loggedIn(a, ALICE, 'bearer');
    const outside = await connect();
    await outside.query('begin');
    await outside.query('update sessions set refresh_nonce = $2 where id = $1', [alice.id, randomBytes(16)]);
    const refresh = alice.at(b).refresh();
    await untilBlocked(a, 1);
    await outside.query('commit');
    expect(await refresh).toMatchObject(problem(401, 'auth.invalid_token'));
  });

  it('a refresh that is decided during a global logout returns no usable token (R1)', async () => {
    const alice = await loggedIn(a, ALICE, 'bearer');
    const admin = await loggedIn(a, ADMIN, 'bearer');
    const outside = await connect();
    await outside.query('begin');
    await outside.query('select from sessions where id = $1 for no key update', [alice.id]);
    const refresh = alice.at(b).refresh();
    await untilBlocked(a, 1);
    // Pending: the sweep waits for the lock on this session.
    expect((await admin.delete('/v1/admin/sessions', { body: { confirm: 'everyone' } })).status).toBe(202);
    await outside.query('commit');
    await refresh;
    expect(await alice.refresh()).toMatchObject(ended('admin_everyone'));
    await eventually(() => expectBothTiers(alice, ended('admin_everyone')));
  });

  it('no token of a refresh outlives a logout that it races, 500 times (R1) [SES-04]', async () => {
    const race = async () => {
      const owner = await loggedIn(a, ALICE, 'bearer');
      const tab = owner.copy().at(b);
      const [refreshed, out] = await Promise.all([
        tab.refresh(),
        owner.post('/v1/auth/logout', { refreshToken: owner.refreshToken }),
      ]);
      expect(out.status).toBe(204);
      if (refreshed.status !== 200) expect(refreshed).toMatchObject(ended('logout'));
      for (const instance of [a, b]) {
        expect(await sessionTier(instance, owner)).toBe('logout');
        expect(await tab.at(instance).get(SESSION)).toMatchObject(ended('logout'));
        expect(await tab.at(instance).refresh()).toMatchObject(ended('logout'));
      }
      expect(await tab.at(a).get(ACCESS)).toMatchObject(ended('logout'));
      await eventually(async () => expect(await tab.at(b).get(ACCESS)).toMatchObject(ended('logout')));
      return refreshed.status;
    };
    const statuses: number[] = [];
    for (let batch = 0; batch < 50; batch++) {
      statuses.push(...(await Promise.all(Array.from({ length: 10 }, race))));
    }
    expect(statuses).toHaveLength(500);
  });

  it('refresh secrets overlap: the old one still verifies, the new one signs', async () => {
    const [before, after] = [randomBytes(32), randomBytes(32)];
    const start = (...secrets: Buffer[]) =>
      startApp({ keys: { ...TEST_KEYS, refreshSecrets: secrets.map((secret) => ({ secret })) } });
    const [old, overlap, renewed] = [await start(before), await start(after, before), await start(after)];
    try {
      const alice = await loggedIn(old, ALICE, 'bearer');
      const first = alice.copy();
      expect(await alice.at(renewed).refresh()).toMatchObject(problem(401, 'auth.invalid_token'));
      expect((await alice.at(overlap).refresh()).status).toBe(200);
      expect(await alice.copy().at(old).refresh()).toMatchObject(problem(401, 'auth.invalid_token'));
      // A repeated request gets the same answer, from the new secret.
      expect((await first.at(overlap).refresh()).status).toBe(200);
      expect(refreshTokenOf(first)).toBe(refreshTokenOf(alice));
      expect((await alice.at(renewed).refresh()).status).toBe(200);
      await expectBothTiers(alice, { status: 200 });
    } finally {
      await Promise.all([old, overlap, renewed].map((app) => app.close()));
    }
  });
});
