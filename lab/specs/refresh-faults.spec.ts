import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { parseRefreshToken } from '../../src/sessions/refresh/refresh-token.js';
import { rotate, type RefreshPosition, type RotationState } from '../../src/sessions/refresh/rotation.js';
import type { Transport } from '../../src/sessions/session.entity.js';
import { holdBackgroundWork, ALICE, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import type { Client } from '../../test/support/client.js';
import { TestClock } from '../../test/support/clock.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import { startInstance, type Instance } from '../../test/support/instance.js';
import { overHttp } from '../../test/support/over-http.js';
import { expectBothTiers, loggedIn, type Person } from '../../test/support/test-users.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { connect, disconnect, eventually, untilBlocked } from '../../test/support/waiting.js';
import { COOKIES } from '../../test/support/cookies.js';

const GRACE = 10_000;
const MINUTE = 60_000;
const DAY = 86_400_000;
const REFRESH = '/v1/auth/refresh';
const TRANSPORTS: Transport[] = ['cookie', 'bearer'];

afterEach(disconnect);

type Queries = Pick<TestApp, 'query'>;

async function rotationOf({ id }: Person, { query }: Queries): Promise<RotationState> {
  const [row] = await query<{ rotation: RotationState }>('select rotation from sessions where id = $1', [id]);
  return row!.rotation;
}

function positionOf(client: Client): RefreshPosition {
  const { generation, sibling } = parseRefreshToken(client.refreshToken ?? client.jar.get(COOKIES.refresh)!)!;
  return { generation, sibling };
}

/** Every token that is good for a refresh after all requests have ended. */
function liveTokens(state: RotationState): RefreshPosition[] {
  const moment = { proof: true, now: Date.now() + 1_000 * DAY, grace: GRACE };
  const positions = Array.from({ length: state.generation + 1 }, (_, before) =>
    Array.from({ length: 10 }, (_, sibling) => ({ generation: before + 1, sibling })),
  ).flat();
  return positions.filter((position) => rotate(state, position, moment).decision.outcome === 'issue');
}

/**
 * Real: two instances, one of them over sockets, and PostgreSQL. Between all of them lossy networks. Controlled:
 * the clock.
 */
describeWithRedis('a refresh whose answer never comes', () =>
  describe.each(TRANSPORTS)('by %s', (transport) => {
    const clock = new TestClock();
    let toPostgres: FaultProxy;
    let toA: FaultProxy;
    let a: TestApp;
    let b: TestApp;
    let alice: Person;

    beforeAll(async () => {
      await resetStores();
      toPostgres = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
      const env = { SESSION_LIMIT: '1000' };
      a = await startApp({ clock, env: { ...env, DATABASE_URL: toPostgres.url } });
      b = await startApp({ clock, env });
      holdBackgroundWork(a);
      await a.app.listen(0, '127.0.0.1');
      toA = await FaultProxy.before(await a.app.getUrl());
    });
    afterAll(async () => {
      await Promise.all([a.close(), b.close()]);
      await Promise.all([toA.close(), toPostgres.close()]);
    });
    beforeEach(async () => {
      alice = (await loggedIn(b, ALICE, transport)).at(overHttp(toA.url));
      clock.advance(MINUTE);
      expect((await alice.refresh()).status).toBe(200);
      clock.advance(MINUTE);
    });

    const unanswered = () => alice.copy().refresh().then(({ status }) => status, () => 'no answer'); // prettier-ignore

    const beforeTheCommit: [string, () => Promise<void>][] = [
      [
        'is lost on its way to the instance',
        async () => {
          const lost = toA.loseRequest(REFRESH);
          expect(await unanswered()).toBe('no answer');
          await lost;
        },
      ],
      [
        'loses its connection to PostgreSQL as it writes',
        async () => {
          const lost = toPostgres.loseRequest('renew session');
          expect(await unanswered()).toBe(503);
          await lost;
        },
      ],
    ];
    const afterTheCommit: [string, () => Promise<void>][] = [
      [
        'has its answer lost on the way back',
        async () => {
          const lost = toA.loseAnswerTo(REFRESH);
          expect(await unanswered()).toBe('no answer');
          await lost;
        },
      ],
      [
        'was aborted by its client, and continues',
        async () => {
          const before = await rotationOf(alice, b);
          const outside = await connect();
          await outside.query('begin');
          await outside.query('select from sessions where id = $1 for no key update', [alice.id]);
          const answer = unanswered();
          await untilBlocked(b, 1);
          toA.cut();
          expect(await answer).toBe('no answer');
          await outside.query('commit');
          await eventually(async () => expect(await rotationOf(alice, b)).not.toEqual(before));
          toA.heal();
        },
      ],
      [
        'commits, and PostgreSQL’s answer is lost',
        async () => {
          const lost = toPostgres.loseAnswerTo('renew session');
          expect(await unanswered()).toBe(503);
          await lost;
        },
      ],
    ];

    const retries = [
      ['at once', 0],
      ['at the end of the grace', GRACE - 2_000],
      ['after the grace', GRACE + 1],
      ['a day later', DAY],
    ] as const;

    describe.each([
      ['has not happened', beforeTheCommit, false],
      ['has happened', afterTheCommit, true],
    ] as const)('that %s:', (_, faults, happened) => {
      describe.each([...faults])('%s', (_, fault) => {
        it.each(retries)('is repeated %s, and the client stays logged in (R2)', async (_, later) => {
          const before = await rotationOf(alice, b);
          await fault();
          if (happened) expect(await rotationOf(alice, b)).not.toEqual(before);
          else expect(await rotationOf(alice, b)).toEqual(before);

          clock.advance(later);
          alice.at(later === 0 ? b : overHttp(toA.url));
          expect((await alice.refresh()).status).toBe(200);
          await expectBothTiers(alice.copy().at(b), { status: 200 });

          // The lost answer and the received one: the token that is used supersedes the other.
          const held = positionOf(alice);
          clock.advance(GRACE + 1);
          expect((await alice.refresh()).status).toBe(200);
          expect(liveTokens(await rotationOf(alice, b))).toEqual([held, positionOf(alice)]);
        });
      });
    });

    it('many times in a row is repeated as often, and the client stays logged in (R2)', async () => {
      for (const [, fault] of [...beforeTheCommit, ...afterTheCommit]) {
        for (const later of [GRACE + 1, DAY]) {
          await fault();
          clock.advance(later);
        }
      }
      expect((await alice.refresh()).status).toBe(200);
      await expectBothTiers(alice.copy().at(b), { status: 200 });
      const held = positionOf(alice);
      clock.advance(GRACE + 1);
      expect((await alice.refresh()).status).toBe(200);
      expect(liveTokens(await rotationOf(alice, b))).toEqual([held, positionOf(alice)]);
    });
  }),
);

/** All statements of a refresh, by name; the last one is a transaction of its own. */
const STATEMENTS = ['find session', 'renew session'];

it('a refresh runs exactly these statements, so that each point of a kill is tested', async () => {
  await resetStores();
  const app = await startApp();
  const alice = await loggedIn(app, ALICE);
  holdBackgroundWork(app);
  const said = jest.spyOn(pg.Client.prototype, 'query');
  expect((await alice.refresh()).status).toBe(200);
  const names = said.mock.calls.map(([query]) => (query as { name?: string }).name);
  said.mockRestore();
  await app.close();
  expect(names).toEqual(STATEMENTS);
});

/**
 * Real: instances as processes of their own, over sockets; PostgreSQL; SIGKILL. Between the first one and
 * PostgreSQL a network that stops.
 */
describeWithRedis('a process that is killed in the middle of a refresh', () => {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-refresh-'));
  const database: Queries = {
    query: async (sql, parameters) => (await connection.query(sql, parameters)).rows,
  };
  let connection: pg.Client;
  let toPostgres: FaultProxy;
  let survivor: Instance;

  const start = (url: string) =>
    startInstance({
      DATABASE_URL: url,
      REDIS_URL: process.env['TEST_REDIS_URL']!,
      DATA_DIR: folder,
      LOG_LEVEL: 'warn',
      SESSION_LIMIT: '1000',
    });

  beforeAll(async () => {
    await resetStores();
    survivor = await start(process.env['TEST_DATABASE_URL']!); // and makes the keys
  });
  beforeEach(async () => {
    connection = await connect();
    toPostgres = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
  });
  afterEach(() => toPostgres.close());
  afterAll(async () => {
    await survivor.stop();
    rmSync(folder, { recursive: true });
  });

  const places = [
    ...STATEMENTS.map((statement) => ['before', statement, false] as const),
    ['after', STATEMENTS.at(-1)!, true] as const,
  ];

  it.each(places)(
    '%s "%s" leaves no partial change, and the old token still refreshes',
    async (when, statement, done) => {
      const victim = await start(toPostgres.url);
      const alice = await loggedIn(overHttp(victim.url), ALICE);
      const before = await rotationOf(alice, database);

      const held = toPostgres.holdAt(statement, when);
      const answer = alice.copy().refresh().then(({ status }) => status, () => 'no answer'); // prettier-ignore
      await held;
      await victim.stop('SIGKILL');
      expect(await answer).toBe('no answer');

      await eventually(async () => expect(await openTransactions()).toBe(0));
      const after = await rotationOf(alice, database);
      if (done) expect(after).toMatchObject({ newest: { first: 1, last: 1 } });
      else expect(after).toEqual(before);
      expect(await traces(alice)).toEqual([{ status: 'active', events: 0, revocations: 0 }]);

      alice.at(overHttp(survivor.url));
      for (let round = 0; round < 3; round++) {
        expect((await alice.refresh()).status).toBe(200);
        expect((await alice.get('/v1/sessions/current')).status).toBe(200);
      }
    },
  );

  const openTransactions = async () => {
    const [{ count }] = (await database.query(
      `select count(*)::int from pg_stat_activity
       where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()`,
    )) as [{ count: number }];
    return count;
  };
  /** Other traces that a refresh can leave. */
  const traces = ({ id }: Person) =>
    database.query(
      `select status,
         (select count(*)::int from audit_events where session_id = $1 and type <> 'authn_login_success') as events,
         (select count(*)::int from revocations where $1 = any(subjects)) as revocations
       from sessions where id = $1`,
      [id],
    );
});
