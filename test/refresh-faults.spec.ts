import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { RotationState } from '../src/sessions/rotation.js';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import { TestClock } from './support/clock.js';
import { FaultProxy } from './support/fault-proxy.js';
import { startInstance, type Instance } from './support/instance.js';
import { loggedIn, type Person } from './support/people.js';
import { honestSchedule, theft } from './support/refresh-strategies/schedules.js';
import { connect, disconnect } from './support/waiting.js';

/**
 * Real: PostgreSQL, Redis, two instances over HTTP; where one is killed, a process of its own. Between it and its
 * PostgreSQL, or its client, a network that stops where it is told to. Controlled: the clock.
 */

const SEED = 20_261_121;
const SCHEDULES = 60;
const HOUR = 3_600_000;
/** Clients give up a refresh after so long, see `docs/decisions/0005-refresh-rotation.md`. */
const CLIENT_TIMEOUT_MS = 3_000;
const REUSE = { status: 401, body: { code: 'auth.session_ended', reason: 'refresh_reuse' } };
const LONG = { SESSION_IDLE_TIMEOUT: '400d', SESSION_LIFETIME: '400d', SESSION_LIMIT: '1000' };

afterEach(disconnect);

describe('over HTTP, on two instances', () => {
  const clock = new TestClock();
  let a: TestApp;
  let b: TestApp;
  beforeAll(async () => {
    await resetStores();
    [a, b] = [await startApp({ clock, env: LONG }), await startApp({ clock, env: LONG })];
  });
  afterAll(() => Promise.all([a.close(), b.close()]));

  const either = (index: number) => (index % 2 ? a : b);
  const generationOf = async ({ id }: Person) => {
    const [row] = await a.query<{ rotation: RotationState }>('select rotation from sessions where id = $1', [
      id,
    ]);
    return row!.rotation.generation;
  };

  it.each(
    fc
      .sample(honestSchedule, { seed: SEED, numRuns: SCHEDULES })
      .map((schedule, seed) => ({ seed, schedule })),
  )(
    'R2: tabs that send, lose, and get late and out of order are never logged out (schedule $seed)',
    async ({ schedule: { tabs, steps } }) => {
      const owner = await loggedIn(a, ALICE);
      let exchanges: { sentAt: number; request: Person['refreshToken']; answer?: string }[] = [];
      for (const [index, step] of steps.entries()) {
        if (step.do === 'wait') {
          clock.advance(Math.min(step.ms, HOUR));
          exchanges = exchanges.filter(({ sentAt }) => clock.now() - sentAt <= CLIENT_TIMEOUT_MS);
        } else if (step.do === 'send') {
          if (exchanges.length < tabs) exchanges.push({ sentAt: clock.now(), request: owner.refreshToken });
        } else if (exchanges.length > 0) {
          const place = step.pick % exchanges.length;
          const exchange = exchanges[place]!;
          if (step.do === 'deliver' && !exchange.answer) {
            const tab = Object.assign(owner.copy(), { refreshToken: exchange.request }).at(either(index));
            expect(await tab.refresh()).toMatchObject({ status: 200 });
            exchange.answer = tab.refreshToken!;
            continue;
          }
          if (step.do === 'deliver') owner.refreshToken = exchange.answer;
          exchanges.splice(place, 1);
        }
      }
      expect(await owner.refresh()).toMatchObject({ status: 200 });
    },
  );

  it.each(
    fc.sample(theft, { seed: SEED, numRuns: SCHEDULES / 2 }).flatMap((schedule, seed) => [
      { seed, schedule, loot: 'the token alone', within: 1 },
      { seed, schedule, loot: 'the whole jar', within: 2 },
    ]),
  )(
    'R3: a thief with $loot is out within $within refreshes of the owner (schedule $seed)',
    async ({ schedule, loot, within }) => {
      const owner = await loggedIn(a, ALICE);
      for (const wait of schedule.past) {
        clock.advance(Math.min(wait, HOUR));
        expect((await owner.refresh()).status).toBe(200);
      }
      const thief = owner.copy();
      if (loot === 'the token alone') thief.deviceToken = undefined;
      let used = false;
      let refreshes = 0;
      for (const [index, { party, wait }] of schedule.turns.entries()) {
        clock.advance(wait);
        const answer = await (party === 'owner' ? owner : thief).at(either(index)).refresh();
        used ||= party === 'thief';
        if (used && party === 'owner') refreshes += 1;
        if (answer.status !== 200) {
          expect(answer).toMatchObject(REUSE);
          break;
        }
        if (refreshes === within) break;
      }
      clock.advance(HOUR);
      const reused = await thief.refresh(); // out: this ends it, if it has not ended yet
      expect(reused).toMatchObject(REUSE);
      expect(await owner.refresh()).toMatchObject(REUSE);
    },
  );

  it('a hundred refreshes at once are one step of one generation, and each answer is as good as any', async () => {
    const owner = await loggedIn(a, ALICE);
    clock.advance(HOUR);
    expect((await owner.refresh()).status).toBe(200);
    clock.advance(HOUR);
    const before = await generationOf(owner);
    const tabs = Array.from({ length: 100 }, (_, index) => owner.copy().at(either(index)));
    for (const answer of await Promise.all(tabs.map((tab) => tab.refresh()))) expect(answer.status).toBe(200);
    expect(new Set(tabs.map(({ refreshToken }) => refreshToken)).size).toBe(1);
    expect(await generationOf(owner)).toBe(before + 1);
    clock.advance(HOUR);
    expect((await tabs[42]!.refresh()).status).toBe(200);
  });
});

describe('a process that is killed in the middle of a refresh', () => {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-refresh-'));
  // Of the same keys, and without a grace: whatever was minted before is long ago.
  const env = {
    DATA_DIR: folder,
    LOG_LEVEL: 'warn',
    REFRESH_GRACE: '0s',
    SESSION_LIMIT: '1000',
    REDIS_URL: process.env['TEST_REDIS_URL']!,
  };
  let proxy: FaultProxy;
  let a: Instance;
  let b: Instance;
  let database: pg.Client;

  beforeAll(async () => {
    await resetStores();
    database = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL'] });
    await database.connect();
    b = await startInstance({ ...env, DATABASE_URL: process.env['TEST_DATABASE_URL']! });
  });
  afterEach(async () => {
    await a.stop('SIGKILL');
    await proxy.close();
  });
  afterAll(async () => {
    await b.stop();
    await database.end();
    rmSync(folder, { recursive: true });
  });

  const post = async (at: Instance, path: string, body: object, deviceToken = '') => {
    const headers = {
      'content-type': 'application/json',
      ...(deviceToken && { 'x-device-token': deviceToken }),
    };
    const response = await fetch(at.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: response.status, body: (await response.json()) as any };
  };

  const STATEMENTS = [
    ['the look-up of the session', 'select user_id, refresh_nonce from sessions'],
    ['the beginning of the transaction', 'START TRANSACTION'],
    ['the lock of the epoch', 'session_epoch'],
    ['the lock of the user', 'FOR NO KEY UPDATE'],
    ['the lock of the session', 'for no key update of s'],
    ['the change', 'update sessions set rotation'],
    ['the commit', 'COMMIT'],
  ] as const;
  const points = STATEMENTS.flatMap(([name, text]) =>
    (['before', 'after'] as const).map((where) => ({ where, name, text })),
  );

  it.each(points)(
    '$where $name: what the client holds is good, and one lineage is',
    async ({ text, where }) => {
      proxy = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
      a = await startInstance({ ...env, DATABASE_URL: proxy.url });
      const login = await post(b, '/v1/auth/login', {
        email: ALICE.email,
        password: PASSWORD,
        transport: 'bearer',
      });
      const { refreshToken, deviceToken, session } = login.body;
      const refresh = (at: Instance, token: string) =>
        post(at, '/v1/auth/refresh', { refreshToken: token }, deviceToken);

      const reached = proxy.stopAt(text, where);
      const lost = refresh(a, refreshToken).catch(() => 'no answer');
      await reached;
      await a.stop('SIGKILL');
      expect(await lost).toBe('no answer');

      const [{ rotation }] = (
        await database.query('select rotation from sessions where id = $1', [session.id])
      ).rows;
      expect(rotation.newest?.last ?? null).toBe(text === 'COMMIT' && where === 'after' ? 1 : null);
      const second = await refresh(b, refreshToken);
      expect(second.status).toBe(200);
      const third = await refresh(b, second.body.refreshToken);
      expect(third.status).toBe(200);
      expect(await refresh(b, refreshToken)).toMatchObject(REUSE);
      expect(await refresh(b, third.body.refreshToken)).toMatchObject(REUSE);
    },
  );

  it.each(['before', 'after'] as const)(
    'a request that is lost on its way, %s it took effect, is tried again without harm',
    async (where) => {
      a = await startInstance({ ...env, DATABASE_URL: process.env['TEST_DATABASE_URL']! });
      proxy = await FaultProxy.before(a.url);
      const away = { ...a, url: proxy.url.replace(/\/$/, '') };
      const login = await post(a, '/v1/auth/login', {
        email: ALICE.email,
        password: PASSWORD,
        transport: 'bearer',
      });
      const { refreshToken, deviceToken } = login.body;
      const reached = proxy.stopAt('POST /v1/auth/refresh', where);
      const lost = post(away, '/v1/auth/refresh', { refreshToken }, deviceToken).catch(() => 'no answer');
      await reached;
      proxy.cut();
      expect(await lost).toBe('no answer');
      for (const at of [b, a]) {
        const again = await post(at, '/v1/auth/refresh', { refreshToken }, deviceToken);
        expect(again.status).toBe(200);
      }
    },
  );
});

describe('a database that was restored from a dump', () => {
  const clock = new TestClock();
  let app: TestApp;
  beforeAll(async () => {
    await resetStores();
    app = await startApp({ clock, env: LONG });
  });
  afterAll(() => app.close());

  /** All rows of all tables, as `pg_dump --data-only` has them. @returns puts them back */
  const dump = async () => {
    const database = await connect();
    const { rows } = await database.query(
      `select quote_ident(table_name) as name from information_schema.tables
       where table_schema = 'public' and table_name <> 'migrations'`,
    );
    const names = rows.map(({ name }) => name as string);
    await database.query('drop schema if exists dump cascade; create schema dump');
    for (const name of names) await database.query(`create table dump.${name} as table public.${name}`);
    return async () => {
      await database.query(`begin; set local session_replication_role = replica; truncate ${names.join()}`);
      for (const name of names)
        await database.query(`insert into public.${name} overriding system value table dump.${name}`);
      await database.query('commit; drop schema dump cascade');
    };
  };

  it.each([1, 2, 5])(
    'refuses what was minted since (%d refreshes) without ending anything, and says so; the person logs in again',
    async (refreshes) => {
      const owner = await loggedIn(app, ALICE);
      const other = await loggedIn(app, ALICE);
      const restore = await dump();
      for (let round = 0; round < refreshes; round++) {
        clock.advance(HOUR);
        expect((await owner.refresh()).status).toBe(200);
      }
      await restore();
      clock.advance(HOUR);
      const refused = { status: 401, body: { code: 'auth.invalid_token' } };
      expect(await owner.refresh()).toMatchObject(refused);
      expect(await owner.refresh()).toMatchObject(refused);
      const events = await app.query(
        `select details from audit_events where type = 'authn_token_unknown' and session_id = $1`,
        [owner.id],
      );
      expect(events).toHaveLength(2);
      expect(events[0]).toMatchObject({
        details: { presented: { generation: refreshes + 1, withDeviceToken: true } },
      });
      expect(await app.query(`select status from sessions where id = $1`, [owner.id])).toEqual([
        { status: 'active' },
      ]);
      expect((await owner.login(ALICE.email, PASSWORD, { transport: 'bearer' })).status).toBe(200);
      expect((await owner.refresh()).status).toBe(200);
      expect((await other.refresh()).status).toBe(200);
    },
  );

  it('goes on with what was minted before', async () => {
    const owner = await loggedIn(app, ALICE);
    clock.advance(HOUR);
    expect((await owner.refresh()).status).toBe(200);
    const restore = await dump();
    await restore();
    clock.advance(HOUR);
    for (let round = 0; round < 3; round++) expect((await owner.refresh()).status).toBe(200);
  });
});
