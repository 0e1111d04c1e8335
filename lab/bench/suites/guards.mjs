import { join } from 'node:path';
import { interleave, loadCourse, ratios } from '../support/course.mjs';
import { median, rounds } from '../support/figures.mjs';
import { Load } from '../support/load.mjs';
import { request } from '../support/request.mjs';
import { StoreCounts, sum } from '../support/stores.mjs';

const TIERS = ['public', 'access', 'session', 'strict'];
/** A route for machines, which send an API key. */
const KEY = 'key';
const GOALS = { access: 0.85, session: 0.8, strict: 0.65, key: 0.8 };
const CALLERS = 10_000;
const DENIED = 10_000;
/** Callers that send requests one after the other, each again long before its cached session expires. */
const FEW = 100;
/** The default of CACHE_LEASE. */
const LEASE_MS = 30_000;

/**
 * The cost of each tier on one instance, with many callers, a large denial list, and logs and metrics as shipped.
 */
export async function run(world, { short, say, row }) {
  const counts = await StoreCounts.of(world);
  await deny(world, DENIED);
  const instance = await world.tiers();
  const load = new Load();
  try {
    const callers = short ? CALLERS / 5 : CALLERS;
    say(`a load of ${callers.toLocaleString('en')} callers on each tier`);
    await prepare(world, load, callers);
    await prepareKeys(world, load, callers);
    const how = { ms: short ? 1_000 : 2_000, everybody: callers };
    const courses = TIERS.map((tier) => loadCourse(tier, load, instance, tier, how));
    for (const name of [KEY, 'anonymous']) courses.push(loadCourse(name, load, instance, name, how));
    const results = await interleave(courses, short ? 3 : 9, say);
    report(results, row);
    for (const tier of [...TIERS.slice(1), KEY])
      await countStores(counts, load, instance, tier, { short, say, row });
    await alone(world, load, instance, { short, say, row });
  } finally {
    await load.stop();
    await instance.stop();
    await counts.stop();
  }
}

/** For `--compare`. */
export async function courses(world, load, { short }) {
  await deny(world, DENIED);
  const instance = await world.tiers();
  const names = TIERS.map((tier) => `${instance.pid} ${tier}`);
  await prepare(world, load, CALLERS, `${instance.pid} `);
  for (const name of names) await load.run(instance.url, name, { ms: 60_000, most: 2 * CALLERS });
  const how = { ms: 60_000, most: short ? 4_000 : 10_000 };
  const courses = TIERS.map((tier, place) => loadCourse(tier, load, instance, names[place], how));
  return { courses, stop: instance.stop };
}

/**
 * Requests of each tier by different callers, identical except for the path; and anonymous ones, without a token.
 */
export async function prepare(world, load, count, prefix = '') {
  const callers = await world.sessions(count);
  for (const tier of TIERS) {
    const requests = callers.map(({ token }) => request('GET', `/v1/bench/${tier}`, { token }));
    await load.prepare(prefix + tier, requests);
  }
  await load.prepare(`${prefix}anonymous`, [request('GET', '/v1/bench/public')]);
}

/** Requests by different machines, which differ from those of people by their credential. */
export async function prepareKeys(world, load, count) {
  const keys = await world.keys(count);
  await load.prepare(
    KEY,
    keys.map((text) => request('GET', `/v1/bench/${KEY}`, { headers: { 'x-api-key': text } })),
  );
}

/** Revocations of other sessions, which the access tier has to search. */
export async function deny(world, count) {
  const migrated = await world.instance();
  await migrated.stop();
  await world.database.query(
    `insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at, applied_at)
     select 'session', array[gen_random_uuid()], 'admin', 1, now(), now() + interval '1 hour', now() from generate_series(1, $1)`,
    [count],
  );
  await world.database.query('analyze revocations');
}

function report(results, row) {
  for (const [name, measured] of results) {
    const costs = measured.map(({ cost }) => cost);
    const rates = measured.map(({ rate }) => rate);
    const busiest = Math.max(...measured.map(({ busy }) => busy));
    const figure = `${rounds(costs, 'µs CPU', 1)}, ${rounds(rates, 'requests/s')}`;
    if (name === 'anonymous') {
      row({ what: 'unguarded, without a token', figure, values: measured });
      continue;
    }
    if (name === 'public') {
      row({
        what: 'unguarded',
        figure: `${figure} (load ≤ ${Math.round(busiest * 100)} % busy)`,
        values: measured,
      });
      continue;
    }
    const fractions = ratios(results, 'public', name);
    const bare = median(ratios(results, 'anonymous', name)).toFixed(2);
    row({
      what: `${name === KEY ? 'API key' : `${name} tier`}, fraction`,
      figure: `${rounds(fractions, '', 2)}, of one without a token ${bare}; ${figure}`,
      promise: `≥ ${GOALS[name]}`,
      kept: median(fractions) >= GOALS[name],
      values: measured,
    });
  }
}

/**
 * Background work runs without requests, too, so it is measured separately and subtracted. The full form is longer
 * than a cached session is valid: each session is read again, once. The short form ends before that, and begins
 * with an empty cache.
 */
async function countStores(counts, load, instance, tier, { short, say, row }) {
  const ms = short ? 2_000 : LEASE_MS + 5_000;
  say(`what the stores are asked, ${tier} tier`);
  const idle = await counts.during(() => new Promise((done) => setTimeout(done, ms)));
  await counts.forgetVerdicts();
  await load.run(instance.url, tier, { ms: 60_000, most: CALLERS });
  const { result, statements, commands } = await counts.during(() => load.run(instance.url, tier, { ms }));
  instance.forgetLog();
  const perRequest = (grown, background) => Math.max(0, sum(grown) - sum(background)) / result.requests;
  const [pg, redis] = [perRequest(statements, idle.statements), perRequest(commands, idle.commands)];
  const most = tier === 'access' ? 0.001 : 0.2;
  const goals = {
    access: 'statements and commands: 0',
    session: 'commands < 0.2',
    strict: 'statements < 0.2',
    key: 'commands < 0.2',
  };
  const kept = {
    access: pg < most && redis < most,
    session: redis < most,
    strict: pg < most,
    key: redis < most,
  };
  row({
    what: `${tier} tier, asked of the stores for each request`,
    figure: `${pg.toFixed(4)} statements, ${redis.toFixed(4)} Redis commands (idle: ${perSecond(idle.statements, ms)} and ${perSecond(idle.commands, ms)} per second)`,
    promise: goals[tier],
    kept: kept[tier],
    values: { requests: result.requests, statements, commands, idle },
  });
}

const perSecond = (grown, ms) => ((sum(grown) * 1_000) / ms).toFixed(1);

/**
 * One check at a time, on an otherwise idle server: no other check shares a round trip. The sessions are cached.
 * For comparison, the cost of a look-up in Redis on a bare Node server: the minimum on this machine.
 */
async function alone(world, load, instance, { short, say, row }) {
  say('single checks on an idle server');
  await prepare(world, load, FEW, 'few ');
  const bare = await world.serve(join(import.meta.dirname, '../support/bare.child.mjs'), {
    env: { REDIS_URL: world.redis.url },
    core: 'server',
    listens: /listening on (\S+)/,
  });
  const courses = TIERS.map((tier) => [tier, instance.url, `few ${tier}`]);
  for (const path of ['nothing', 'redis']) {
    await load.prepare(`bare ${path}`, [request('GET', `/${path}`)]);
    courses.push([`bare ${path}`, bare.url, `bare ${path}`]);
  }
  const times = new Map(courses.map(([name]) => [name, []]));
  for (let round = 0; round < (short ? 3 : 15); round++) {
    for (const [name, url, requests] of courses) {
      await load.run(url, requests, { ms: 60_000, most: 2 * FEW });
      times
        .get(name)
        .push(await load.run(url, requests, { ms: short ? 500 : 2_000, connections: 1, rate: 250 }));
    }
  }
  await bare.stop();
  const all = (name, which) => times.get(name).map((measured) => measured[which]);
  const added = (name, to, which) => median(all(name, which)) - median(all(to, which));
  const floor = (which) => added('bare redis', 'bare nothing', which).toFixed(2);
  for (const tier of TIERS.slice(1)) {
    const [half, most] = ['p50', 'p99'].map((which) => added(tier, 'public', which));
    const isGoal = tier === 'session';
    row({
      what: `${tier} tier, a check alone: what it adds to the unguarded route at p99`,
      figure:
        `${most.toFixed(2)} ms (p50 ${half.toFixed(2)}); ${rounds(all(tier, 'p99'), 'ms', 2)}, unguarded ${rounds(all('public', 'p99'), 'ms', 2)}` +
        (isGoal ? `; one look-up in Redis adds ${floor('p99')} (p50 ${floor('p50')}) to a bare server` : ''),
      promise: isGoal ? '≤ 1 ms' : '',
      kept: isGoal ? most <= 1 : undefined,
      values: times.get(tier),
    });
  }
}
