import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { createClient } from 'redis';
import { DataSource } from 'typeorm';
import { LINK_EVENTS } from '../../../dist/platform/audit/audit-chain.repository.js';
import { COMPARE_AND_SET, SET_IF_ABSENT } from '../../../dist/platform/cache/redis-epoch.js';
import { SessionCleanupJob } from '../../../dist/sessions/cleanup/session-cleanup.job.js';
import { LastSeenService } from '../../../dist/sessions/check/last-seen.service.js';
import { MAX_COUNTED } from '../../../dist/sessions/revocation/receipt.js';
import { RevocationCursor } from '../../../dist/sessions/revocation/revocation-cursor.js';
import { RevocationDispatcher } from '../../../dist/sessions/revocation/revocation-dispatcher.js';
import { READ } from '../../../dist/sessions/check/session-check.repository.js';
import { inParallel } from '../support/figures.mjs';
import { StoreCounts, sum } from '../support/stores.mjs';
import { cpuOf, cpuOfFamily, PASSWORD } from '../support/world.mjs';
import { PRODUCT } from '../../../dist/product.js';

const DAY = 24 * 3_600_000;
const LIFETIMES = {
  sessionIdleTimeout: 30 * DAY,
  sessionLifetime: 90 * DAY,
  adminSessionIdleTimeout: DAY / 24,
  adminSessionLifetime: DAY / 2,
  lastSeenResolution: 60_000,
};
const noJobs = { every() {} };
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const clock = { now: () => Date.now(), monotonic: () => performance.now(), fromDatabase: Number };

/**
 * Measures the inputs of `lab/model/measured.mjs`: bytes, write-ahead log and CPU of the stores for each kind of
 * event, with few rows and one at a time. The CPU figures are of this machine, the bytes of any.
 */
export async function run(world, { short, say, row }) {
  const count = short ? 20_000 : 200_000;
  const quick = short ? 0.1 : 1;
  const instance = await world.instance({ RATE_LIMITS: 'on' });
  const tools = { world, instance, say, row, times: (number) => Math.max(20, Math.round(number * quick)) };
  await idle(tools, short ? 3 : 20);
  say(`${count} sessions`);
  await world.crowd(count);
  await acts(tools);
  await instance.stop();
  await sizes(tools, count);
  await reads(tools);
  await marks(tools);
  await listeners(tools);
  await redis(tools);
  await sealing(tools);
  await walks(tools, count);
}

/** CPU of PostgreSQL, and the size of its log, for each of `count` units of work. */
async function costs(world, count, work) {
  const ask = async () => (await world.database.query('select pg_current_wal_lsn() as lsn')).rows[0].lsn;
  const [from, before] = [await ask(), cpuOfFamily(world.postgres.pid)];
  await work();
  const after = cpuOfFamily(world.postgres.pid);
  const { rows } = await world.database.query(
    'select pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::float as wal',
    [from],
  );
  return { cpu: ((after - before) * 1_000) / count, wal: rows[0].wal / count };
}

const tell = ({ cpu, wal }) => `${cpu.toFixed(0)} µs CPU of PostgreSQL, ${wal.toFixed(0)} B of WAL`;

/** An instance without requests still polls. */
async function idle({ world, instance, say, row }, seconds) {
  say('one idle instance');
  const counts = await StoreCounts.of(world);
  const { statements, commands } = await counts.during(async () => {
    const [before, redisBefore] = [cpuOf(instance.pid), cpuOf(world.redis.pid)];
    const cost = await costs(world, seconds, () => new Promise((done) => setTimeout(done, seconds * 1_000)));
    const own = ((cpuOf(instance.pid) - before) * 1_000) / seconds;
    const ofRedis = ((cpuOf(world.redis.pid) - redisBefore) * 1_000) / seconds;
    row({
      what: 'one idle instance, per second',
      figure: `${tell(cost)}; ${own.toFixed(0)} µs of its own, ${ofRedis.toFixed(0)} µs of Redis`,
      values: { ...cost, own, ofRedis },
    });
  });
  row({
    what: 'the same, counted',
    figure: `${(sum(statements) / seconds).toFixed(1)} statements, ${(sum(commands) / seconds).toFixed(1)} Redis commands a second`,
    values: { statements, commands },
  });
  await counts.stop();
}

/** Logins, refreshes and ends from the view of a client, among many other sessions. */
async function acts({ world, instance, say, row, times }) {
  const counts = await StoreCounts.of(world);
  const act = async (what, items, work) => {
    say(what);
    const before = cpuOf(instance.pid);
    let cost;
    const { statements, commands } = await counts.during(async () => {
      cost = await costs(world, items.length, () => inParallel(items, 4, work));
    });
    const own = ((cpuOf(instance.pid) - before) * 1_000) / items.length;
    const asked = [sum(statements), sum(commands)].map((number) => (number / items.length).toFixed(1));
    row({
      what,
      figure: `${tell(cost)}; ${own.toFixed(0)} µs of the instance; ${asked[0]} statements, ${asked[1]} Redis commands`,
      values: { ...cost, own, statements, commands },
    });
  };
  const grants = [];
  await act('a login on a new device', await world.people(times(300)), async ({ email }) => {
    const body = { email, password: PASSWORD, transport: 'bearer' };
    grants.push(expect(await instance.http.request('POST', '/v1/auth/login', { body }), 200));
  });
  const turns = Array.from({ length: times(1_200) }, (_, turn) => turn % grants.length);
  const busy = new Map(); // each refresh token is used once, by one client
  await act('a refresh', turns, async (place) => {
    const turn = (busy.get(place) ?? Promise.resolve()).then(async () => {
      const body = { refreshToken: grants[place].refreshToken };
      Object.assign(
        grants[place],
        expect(await instance.http.request('POST', '/v1/auth/refresh', { body }), 200),
      );
    });
    busy.set(place, turn);
    await turn;
  });
  const admin = await world.admin(instance);
  await act(
    'the end of a session by an admin, one instance listening',
    await world.sessions(times(400)),
    async ({ id }) => {
      expect(await instance.http.request('DELETE', `/v1/admin/sessions/${id}`, { token: admin }), 200);
    },
  );
  await counts.stop();
}

function expect({ status, body }, wanted) {
  if (status !== wanted) throw new Error(`answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

/** Bytes of a row with its share of every index. */
async function sizes({ world, say, row }, count) {
  say('sizes');
  await world.database.query(
    `insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at, applied_at)
     select 'session', array[gen_random_uuid()], 'logout', 1, now(), now() + interval '16 min', now() from generate_series(1, $1)`,
    [count],
  );
  await world.database.query(
    `insert into audit_events (type, actor_id, user_id, session_id, ip, user_agent, request_id, details)
     select 'authn_login_success', s.user_id, s.user_id, s.id, s.ip, s.user_agent, gen_random_uuid()::text,
            '{"transport": "cookie", "newDevice": false}' from sessions s limit $1`,
    [count],
  );
  await world.database.query('vacuum analyze');
  const { rows } = await world.database.query(
    `select relname as name, pg_table_size(oid)::float as rows, pg_indexes_size(oid)::float as indexes, reltuples as count
     from pg_class where relname in ('users', 'devices', 'sessions', 'revocations', 'audit_events') order by 1`,
  );
  for (const { name, rows: own, indexes, count: there } of rows) {
    const each = (bytes) => Math.round(bytes / there);
    row({
      what: `a row of ${name}, of ${Math.round(there).toLocaleString('en')}`,
      figure: `${each(own + indexes)} B: ${each(own)} B and ${each(indexes)} B of indexes`,
      values: { own, indexes, there },
    });
  }
}

/** The reads of a check that misses the cache, and of a poll of the feed. */
async function reads({ world, say, row, times }) {
  say('reads');
  const client = new pg.Client({
    connectionString: world.postgres.url,
    options: '-c plan_cache_mode=force_generic_plan', // as the application's
  });
  await client.connect();
  const { rows } = await client.query('select id from sessions order by random() limit 5000');
  const ids = rows.map(({ id }) => id);
  const named = (values) => client.query({ ...READ, values });
  for (const share of [1, 20]) {
    const asked = times(share === 1 ? 5_000 : 500);
    for (let turn = 0; turn < 6; turn++) await named([at(ids, turn * share, share)]); // from the sixth time on it uses the plan
    const cost = await costs(world, asked * share, async () => {
      for (let turn = 0; turn < asked; turn++) await named([at(ids, turn * share, share)]);
    });
    row({ what: `a session read by its id, ${share} in one statement`, figure: tell(cost), values: cost });
  }
  const nameless = await costs(world, times(5_000), async () => {
    for (let turn = 0; turn < times(5_000); turn++) await client.query(READ.text, [at(ids, turn, 1)]);
  });
  row({ what: 'the same, one, planned each time', figure: tell(nameless), values: nameless });
  const cursor = new RevocationCursor();
  await cursor.begin(client);
  await cursor.advance(client, () => undefined);
  const polls = times(3_000);
  const empty = await costs(world, polls, async () => {
    for (let turn = 0; turn < polls; turn++) await cursor.advance(client, () => undefined);
  });
  row({ what: 'a poll of the feed that finds nothing', figure: tell(empty), values: empty });

  const writer = new pg.Client({ connectionString: world.postgres.url });
  await writer.connect();
  await writer.query('begin; select pg_current_xact_id()');
  await world.database.query(
    `insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at, applied_at)
     select 'session', array[gen_random_uuid()], 'logout', 1, now(), now() + interval '16 min', now() from generate_series(1, 100)`,
  );
  let bytes = 0;
  await cursor.advance(client, (notice) => (bytes += JSON.stringify(notice).length));
  const full = await costs(world, polls, async () => {
    for (let turn = 0; turn < polls; turn++) await cursor.advance(client, () => undefined);
  });
  await writer.query('rollback');
  await Promise.all([writer.end(), client.end()]);
  row({
    what: 'each notice that a poll finds besides',
    figure: `${((full.cpu - empty.cpu) / 100).toFixed(1)} µs CPU of PostgreSQL, ${Math.round(bytes / 100)} B on the wire`,
    values: { full, empty, bytes },
  });
}

/** Last-seen marks of sessions all over the table. The stores of tests write no page images: see `bench/model/`. */
async function marks({ world, say, row, times }) {
  say('last-seen marks');
  const number = times(10_000);
  const { rows } = await world.database.query(
    `update sessions set last_seen_at = now() - interval '1 hour' where id in (select id from sessions order by random() limit $1) returning id`,
    [number],
  );
  await world.database.query('vacuum sessions');
  const client = new pg.Client({ connectionString: world.postgres.url });
  await client.connect();
  const service = new LastSeenService(client, clock, LIFETIMES, noJobs);
  const mark = () =>
    costs(world, number, async () => {
      for (let from = 0; from < number; from += 500) {
        for (const { id } of rows.slice(from, from + 500)) service.touch(id);
        await service.flush();
      }
    });
  const before = await hotUpdates(client);
  const written = await mark();
  const [updates, inPlace] = (await hotUpdates(client)).map((after, index) => after - before[index]);
  const fresh = await mark();
  await client.end();
  row({
    what: 'a last-seen mark, 500 in one statement',
    figure: `${tell(written)}; ${Math.round((100 * inPlace) / updates)} % in place (HOT)`,
    values: { ...written, updates, inPlace },
  });
  row({ what: 'one that is fresh enough and not written', figure: tell(fresh), values: fresh });
}

async function hotUpdates(client) {
  await client.query('select pg_stat_force_next_flush()');
  const { rows } = await client.query(
    `select n_tup_upd::int as updates, n_tup_hot_upd::int as hot from pg_stat_user_tables where relname = 'sessions'`,
  );
  return [rows[0].updates, rows[0].hot];
}

/** The cost of a notification for each listener, without its reaction. */
async function listeners({ world, say, row, times }) {
  say('listeners');
  const all = [];
  const measured = [];
  const number = times(2_000);
  for (const wanted of [0, 50, 200]) {
    while (all.length < wanted) {
      const client = new pg.Client({ connectionString: world.postgres.url });
      await client.connect();
      await client.query(`listen ${PRODUCT.revocationsChannel}`);
      all.push(client);
    }
    const cost = await costs(world, number, async () => {
      for (let turn = 0; turn < number; turn++)
        await world.database.query(`select pg_notify('${PRODUCT.revocationsChannel}', '')`);
    });
    measured.push({ wanted, ...cost });
  }
  await Promise.all(all.map((client) => client.end()));
  const [none, , most] = measured;
  row({
    what: 'a notification for each that listens',
    figure: `${((most.cpu - none.cpu) / most.wanted).toFixed(1)} µs CPU of PostgreSQL; without a listener ${none.cpu.toFixed(0)} µs`,
    values: measured,
  });
}

/** Each command as the cache sends it, many of them at once, so that the cost is the server's. */
async function redis({ world, say, row, times }) {
  say('Redis');
  const client = createClient({ url: world.redis.url });
  await client.connect();
  const [uuid, now] = ['A'.repeat(22), Date.now()];
  const first = [1, now, uuid, 'user', 'b', '203.0.113.150', 'NL', '', now, 0, 0, '', uuid];
  const verdict = `${JSON.stringify([...first, 'Chrome on Windows', 'Chrome', 'Windows', 0])}\n12345678`;
  const keys = Array.from({ length: 10_000 }, () => `${PRODUCT.redisPrefix}session:${randomUUID()}`);
  await inParallel(keys, 100, (key) => client.set(key, verdict, { PX: 3_600_000 }));
  const usage = await client.memoryUsage(keys[0]);
  row({
    what: 'a cached session in Redis, MEMORY USAGE',
    figure: `${usage} B; the text ${verdict.length} B`,
    values: { usage },
  });
  const number = times(20_000);
  const steps = {
    'MGET of one and INFO': (turn) =>
      client
        .multi()
        .mGet([keys[turn % keys.length]])
        .info('replication')
        .execAsPipeline(),
    'MGET of 20 and INFO': (turn) =>
      client
        .multi()
        .mGet(at(keys, turn, 20))
        .info('replication')
        .execAsPipeline(),
    'a lease (EVAL)': () =>
      client.eval(SET_IF_ABSENT, {
        keys: [`lease:${randomUUID()}`],
        arguments: ['2000', '\n12345678', '"x"'],
      }),
    'a fill (EVAL)': (turn) =>
      client.eval(COMPARE_AND_SET, {
        keys: [keys[turn % keys.length]],
        arguments: ['3600000', '\n12345678', verdict.slice(0, -9), verdict],
      }),
    'INFO alone': () => client.info('replication'),
  };
  for (const [what, step] of Object.entries(steps)) {
    const before = cpuOf(world.redis.pid);
    await inParallel(
      Array.from({ length: number }, (_, turn) => turn),
      64,
      step,
    );
    const cpu = ((cpuOf(world.redis.pid) - before) * 1_000) / number;
    row({ what: `Redis: ${what}`, figure: `${cpu.toFixed(1)} µs CPU`, values: { cpu } });
  }
  client.destroy();
}

/**
 * An extension of the audit hash chain reads all events of the last ten minutes, beside all entries of that time.
 */
async function sealing({ world, say, row }) {
  for (const [events, seals] of [
    [1_000, 60],
    [5_000, 60],
    [5_000, 300],
    [10_000, 600],
  ]) {
    say(`sealing beside ${events} events and ${seals} seals`);
    const client = new pg.Client({ connectionString: world.postgres.url });
    await client.connect();
    await client.query(
      `begin; set local ${PRODUCT.auditRetention} = 'on'; truncate audit_events, audit_chain restart identity`,
    );
    const each = Math.floor(events / seals);
    const add = (number) =>
      client.query(
        `insert into audit_events (type, user_id, session_id, ip, user_agent, details)
         select 'session_ended', gen_random_uuid(), gen_random_uuid(), '203.0.113.1', 'Mozilla/5.0', '{}' from generate_series(1, $1)`,
        [number],
      );
    await add(each * seals);
    await client.query(
      `insert into audit_chain (at, events, last_id, count, previous, hash)
       select now(), int8multirange(int8range((n - 1) * $1::int + 1, n * $1::int + 1)), n * $1::int, $1, sha256('x'), sha256(n::text::bytea)
       from generate_series(1, $2::int) n`,
      [each, seals],
    );
    await client.query('commit');
    await client.query('vacuum analyze audit_events, audit_chain');
    const cost = await costs(world, 3, async () => {
      for (let turn = 0; turn < 3; turn++) {
        await add(10);
        await client.query('begin');
        await client.query(LINK_EVENTS, [new Date()]);
        await client.query('rollback');
      }
    });
    await client.end();
    row({
      what: `a seal, beside ${(each * seals).toLocaleString('en')} events and ${seals} seals of the last ten minutes`,
      figure: `${(cost.cpu / 1_000).toFixed(1)} ms CPU of PostgreSQL`,
      values: cost,
    });
  }
}

/** Work that reads every live session: housekeeping, the count of a receipt, the sweep of a global logout. */
async function walks({ world, say, row }, count) {
  const database = await new DataSource({ type: 'postgres', url: world.postgres.url }).initialize();
  try {
    await database.query('vacuum analyze sessions');
    say('housekeeping');
    const housekeeping = new SessionCleanupJob(database, {}, {}, clock, LIFETIMES, silent, noJobs);
    const walk = await costs(world, count, () => housekeeping.endAged());
    row({ what: 'housekeeping, for each live session', figure: tellFine(walk), values: walk });
    const cache = { writeTombstones: async () => undefined };
    const relay = new RevocationDispatcher(database, database, {}, cache, clock, silent, noJobs);
    const everyone = {
      seq: '1',
      kind: 'everyone',
      reason: 'admin_everyone',
      notBefore: new Date(),
      createdAt: new Date(),
    };
    const counted = await costs(world, 5 * Math.min(count, MAX_COUNTED), async () => {
      for (let turn = 0; turn < 5; turn++) await relay.countLeft(everyone, MAX_COUNTED);
    });
    row({
      what: 'the count of remaining sessions, for each that it counts',
      figure: tellFine(counted),
      values: counted,
    });
    say('a sweep');
    const startedAt = performance.now();
    const swept = await costs(world, count, () => relay.sweep(everyone));
    const rate = (count * 1_000) / (performance.now() - startedAt);
    row({
      what: 'the end of everyone, for each live session',
      figure: `${tellFine(swept)}; ${Math.round(rate).toLocaleString('en')} a second, one batch at a time`,
      values: { ...swept, rate },
    });
  } finally {
    await database.destroy();
  }
}

const tellFine = ({ cpu, wal }) => `${cpu.toFixed(2)} µs CPU of PostgreSQL, ${wal.toFixed(0)} B of WAL`;

/** `share` items from `place` on, cyclically. */
function at(items, place, share) {
  return Array.from({ length: share }, (_, index) => items[(place + index) % items.length]);
}
