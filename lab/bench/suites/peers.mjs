import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { interleave, loadCourse, ratios } from '../support/course.mjs';
import { inParallel, median, rounds } from '../support/figures.mjs';
import { Load } from '../support/load.mjs';
import { request } from '../support/request.mjs';
import { prepare, prepareKeys } from './guards.mjs';

const FOLDER = join(import.meta.dirname, '../peers');
export { FOLDER as PEERS_FOLDER };
/** Fewer than elsewhere, because peers log their callers in one after the other. */
const CALLERS = 1_000;

/** [description, program, argument, the tier of ours with the same work, the promised ratio] */
const PEERS = [
  ['@fastify/jwt, ES256', 'fastify-jwt', '', 'access'],
  ['@fastify/jwt, ES256, with its cache', 'fastify-jwt', `${2 * CALLERS}`, 'access', 1.25],
  [
    '@fastify/jwt with its cache, and headers, request ids and metrics as ours',
    'fastify-jwt',
    `${2 * CALLERS} dressed`,
    'access',
    1.25,
  ],
  ['Nest with passport-jwt', 'nest', '', 'access', 10],
  ['Nest with passport-jwt, user by TypeORM', 'nest', 'user', 'session'],
  ['@fastify/session, Redis', 'fastify-session', 'rolling', 'session', 1.7],
  ['@fastify/session, Redis, not rolling', 'fastify-session', 'still', 'session', 1.7],
  [
    '@fastify/session, not rolling, and headers, request ids and metrics as ours',
    'fastify-session',
    'still dressed',
    'session',
    1.7,
  ],
  ['express-session, connect-redis', 'express-session', '', 'session', 5],
  [
    'express-session, and headers, request ids and metrics as ours',
    'express-session',
    'dressed',
    'session',
    5,
  ],
  ['passport session, Redis, user from PostgreSQL', 'express-session', 'passport', 'session'],
  ['Better Auth, PostgreSQL', 'better-auth', 'postgres', 'session'],
  ['Better Auth, cookie cache', 'better-auth', 'cookie', 'access'],
  ['Better Auth, Redis', 'better-auth', 'redis', 'session', 7],
  ['Better Auth, API key in PostgreSQL', 'better-auth', 'key', 'key', 5],
  ['Better Auth, API key in Redis', 'better-auth', 'key redis', 'key', 5],
  [
    'Better Auth, Redis, and headers, request ids and metrics as ours',
    'better-auth',
    'redis dressed',
    'session',
    7,
  ],
];
const OURS = ['public', 'access', 'session', 'key'];
const IN_SHORT = [1, 2, 3, 6, 7, 8, 9, 13, 14, 15, 16];

/**
 * "Who am I?" of other systems: the same answer, the same stores, one run. None of them logs, as they are shipped;
 * ours runs once with logs on.
 */
export async function run(world, { short, say, row }) {
  install(say);
  const load = new Load();
  const servers = [];
  try {
    const quiet = await world.tiers({ LOG_LEVEL: 'warn' });
    const logging = await world.tiers();
    servers.push(quiet, logging);
    await prepare(world, load, CALLERS);
    await prepareKeys(world, load, CALLERS);
    const how = { ms: short ? 500 : 2_000, everybody: short ? CALLERS / 2 : CALLERS };
    const courses = OURS.flatMap((tier) => [
      loadCourse(tier, load, quiet, tier, how),
      loadCourse(`${tier}, logging`, load, logging, tier, how),
    ]);
    const peers = short ? IN_SHORT.map((index) => PEERS[index]) : PEERS;
    for (const [name, program, argument] of peers) {
      say(`logging in at ${name}`);
      const server = await serve(world, program, argument);
      servers.push(server);
      await load.prepare(name, await callersOf(server));
      courses.push(loadCourse(name, load, server, name, how));
    }
    const results = await interleave(courses, short ? 2 : 7, say);
    for (const tier of OURS) {
      row({
        what: `ours, ${tier}`,
        figure: `${figureOf(results.get(tier))}; logging ${figureOf(results.get(`${tier}, logging`))}`,
        values: results.get(tier),
      });
    }
    for (const [name, , , tier, goal] of peers) {
      const times = ratios(results, name, tier);
      const logged = median(ratios(results, name, `${tier}, logging`)).toFixed(1);
      row({
        what: `${name}: cost relative to our ${tier === 'key' ? 'API key' : `${tier} tier`}`,
        figure: `${rounds(times, 'times', 1)} (${logged} of ours logging); ${figureOf(results.get(name))}`,
        promise: goal ? `≥ ${goal}` : '',
        kept: goal ? median(times) >= goal : undefined,
        values: results.get(name),
      });
    }
  } finally {
    await load.stop();
    for (const { stop } of servers) await stop();
  }
}

const figureOf = (measured) =>
  `${rounds(
    measured.map(({ cost }) => cost),
    'µs CPU',
    0,
  )}, ${median(measured.map(({ rate }) => rate)).toFixed(0)} requests/s`;

/** They are no dependencies of ours: their folder has its own lock file. */
export function install(say) {
  const installed = join(FOLDER, 'node_modules/.package-lock.json');
  const lock = join(FOLDER, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  say('installing the peers');
  execFileSync('npm', ['ci', '--no-fund', '--no-audit'], {
    cwd: FOLDER,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function serve(world, program, argument) {
  const { postgres, redis } = world;
  return world.serve(join(FOLDER, `${program}.mjs`), {
    args: argument ? argument.split(' ') : [],
    env: { NODE_ENV: 'production', DATABASE_URL: postgres.url, REDIS_URL: redis.url },
    listens: /listening on (\S+)/,
    core: 'server',
    cwd: FOLDER,
  });
}

/** Requests of as many callers, each with the credentials of their own login. */
async function callersOf({ url }) {
  const requests = [];
  await inParallel(Array.from({ length: CALLERS }), 8, async () => {
    const response = await fetch(`${url}/login`, { method: 'POST' });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const { token, apiKey } = await response.json();
    const cookies = response.headers.getSetCookie().map((cookie) => cookie.split(';')[0]);
    const headers = {
      ...(cookies.length > 0 && { cookie: cookies.join('; ') }),
      ...(apiKey && { 'x-api-key': apiKey }),
    };
    requests.push(request('GET', '/whoami', { token, headers }));
  });
  return requests;
}
