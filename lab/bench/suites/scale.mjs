import { createClient } from 'redis';
import { interleave, loadCourse, ratios } from '../support/course.mjs';
import { median, rounds } from '../support/figures.mjs';
import { Load } from '../support/load.mjs';
import { request } from '../support/request.mjs';
import { cpuOf, PASSWORD, World } from '../support/world.mjs';
import { prepare } from './guards.mjs';
import { courses as refreshing } from './refresh.mjs';
import { PRODUCT } from '../../../dist/product.js';

const CALLERS = 1_000;
const MOST_GROWTH = 1.2;
const MOST_BYTES = 250;

/**
 * Two systems side by side, one empty, one full: the cost of a request for application, PostgreSQL and Redis
 * together.
 */
export async function run(world, { short, say, row }) {
  const [inPostgres, inRedis] = short ? [20_000, 5_000] : [1_000_000, 100_000];
  const empty = await World.start();
  const load = new Load();
  const stops = [];
  try {
    const [full, bare] = [
      await world.tiers({ SESSION_LIMIT: '5' }),
      await empty.tiers({ SESSION_LIMIT: '5' }),
    ];
    stops.push(full.stop, bare.stop);
    say(`${inPostgres.toLocaleString('en')} sessions in PostgreSQL`);
    await world.crowd(inPostgres);
    await sizeInPostgres(world, row);
    const courses = [];
    for (const [name, its, instance] of [
      ['full', world, full],
      ['empty', empty, bare],
    ]) {
      const { courses: found, stop } = await coursesOf(name, its, instance, load, short);
      courses.push(...found);
      stops.push(stop);
    }
    say(`${inRedis.toLocaleString('en')} sessions in Redis`);
    await fillRedis(world, inRedis, row);
    const results = await interleave(courses, short ? 2 : 9, say);
    for (const what of ['check', 'strict check', 'list', 'login', 'refresh']) {
      const growth = ratios(results, `full ${what}`, `empty ${what}`);
      row({
        what: `${what}, with ${inPostgres.toLocaleString('en')} sessions beside none`,
        figure: `${rounds(growth, 'times', 2)}; ${rounds(
          results.get(`full ${what}`).map(({ cost }) => cost),
          'µs CPU of all processes',
        )}`,
        promise: `≤ ${MOST_GROWTH} times`,
        kept: median(growth) <= MOST_GROWTH,
        values: { full: results.get(`full ${what}`), empty: results.get(`empty ${what}`) },
      });
    }
  } finally {
    await load.stop();
    for (const stop of stops) await stop();
    await empty.stop();
  }
}

async function coursesOf(name, world, instance, load, short) {
  const all = { ...instance, cpu: () => cpuOf(instance.pid) + world.cpuOfStores() };
  await prepare(world, load, CALLERS, `${name} `);
  const people = await world.people(200);
  const logins = people.map(({ email }) =>
    request('POST', '/v1/auth/login', { body: { email, password: PASSWORD, transport: 'bearer' } }),
  );
  await load.prepare(`${name} login`, logins);
  const lists = (await world.sessions(CALLERS)).map(({ token }) => request('GET', '/v1/sessions', { token }));
  await load.prepare(`${name} list`, lists);
  const ms = short ? 500 : 2_000;
  const { courses, stop } = await refreshing(world, load, { short, cpuOfStores: () => world.cpuOfStores() });
  return {
    courses: [
      loadCourse(`${name} check`, load, all, `${name} session`, { ms, everybody: CALLERS }),
      loadCourse(`${name} strict check`, load, all, `${name} strict`, { ms }),
      loadCourse(`${name} list`, load, all, `${name} list`, { ms, connections: 16 }),
      loadCourse(`${name} login`, load, all, `${name} login`, { ms: 3 * ms, connections: 4 }),
      { ...courses[0], name: `${name} refresh` },
    ],
    stop,
  };
}

async function sizeInPostgres(world, row) {
  const { rows } = await world.database.query(
    `select sum(pg_table_size(oid))::float as rows, sum(pg_indexes_size(oid))::float as indexes,
            (select count(*) from sessions)::int as count
     from pg_class where relname = 'sessions'`,
  );
  const [size] = rows;
  const each = (bytes) => Math.round(bytes / size.count);
  row({
    what: `a session in PostgreSQL, of ${size.count.toLocaleString('en')}`,
    figure: `${each(size.rows + size.indexes)} B: ${each(size.rows)} B and ${each(size.indexes)} B of indexes`,
    values: size,
  });
}

/** In the format of the application: its own cached session, copied to the keys of others. */
async function fillRedis(world, count, row) {
  const client = createClient({ url: world.redis.url });
  await client.connect();
  const instance = await world.instance();
  const [{ id, token }] = await world.sessions(1);
  await instance.http.get('/v1/sessions/current', token);
  const verdict = await client.get(`${PRODUCT.redisPrefix}session:${id}`);
  await instance.stop();
  if (!verdict) throw new Error('a checked session is not in Redis under the name that the bench knows');
  const before = await usedMemory(client);
  for (let done = 0; done < count; done += 1_000) {
    const names = await world.database.query(`select gen_random_uuid() as id from generate_series(1, 1000)`);
    const share = names.rows.map((each) =>
      client.set(`${PRODUCT.redisPrefix}session:${each.id}`, verdict, { PX: 3_600_000 }),
    );
    await Promise.all(share);
  }
  const bytes = ((await usedMemory(client)) - before) / count;
  client.destroy();
  row({
    what: `a session in Redis, of ${count.toLocaleString('en')}`,
    figure: `${Math.round(bytes)} B of memory in all; the verdict alone ${Buffer.byteLength(verdict)} B`,
    promise: `≤ ${MOST_BYTES} B`,
    kept: Buffer.byteLength(verdict) <= MOST_BYTES,
    values: { bytes, verdict },
  });
}

async function usedMemory(client) {
  return Number(/used_memory:(\d+)/.exec(await client.info('memory'))[1]);
}
