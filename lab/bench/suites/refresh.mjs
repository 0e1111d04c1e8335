import { loadCourse, interleave } from '../support/course.mjs';
import { inParallel, median, rounds } from '../support/figures.mjs';
import { Load } from '../support/load.mjs';
import { cpuOf, PASSWORD } from '../support/world.mjs';

const CLIENTS = 64;
const GOAL = 1_500;

/**
 * Refreshes per second of one instance on one core: each client refreshes with its latest token, as fast as it can.
 */
export async function run(world, { short, say, row }) {
  say(`${CLIENTS} clients that do nothing but refresh`);
  const load = new Load();
  const { courses, stop } = await refreshing(world, load, { short });
  const results = await interleave(courses, short ? 3 : 7, say);
  await load.stop();
  await stop();
  const measured = results.get('refresh');
  const rates = measured.map(({ cost }) => 1e6 / cost);
  row({
    what: 'refresh, per second and core of the application',
    figure: `${rounds(rates, '')} by its CPU (${rounds(
      measured.map(({ cost }) => cost),
      'µs',
    )}); ${rounds(
      measured.map(({ rate }) => rate),
      '',
    )} answered, beside PostgreSQL on this machine; p99 ${median(measured.map(({ p99 }) => p99)).toFixed(0)} ms`,
    promise: `≥ ${GOAL.toLocaleString('en')}`,
    kept: median(rates) >= GOAL,
    values: measured,
  });
}

/** For `--compare`. */
export { refreshing as courses };

async function refreshing(world, load, { short, cpuOfStores = () => 0 }) {
  const instance = await world.tiers();
  const server = { ...instance, cpu: () => cpuOf(instance.pid) + cpuOfStores() };
  const ms = short ? 1_500 : 4_000;
  // New sessions each time, because a load does not report its last tokens.
  const measure = async () => {
    const chains = await chainsOf(world, instance);
    return loadCourse('refresh', load, server, undefined, { ms, connections: CLIENTS, chains }).measure();
  };
  return { courses: [{ name: 'refresh', measure }], stop: instance.stop };
}

/** Users who have just logged in, each with their first refresh token. */
export async function chainsOf(world, { http }) {
  const chains = [];
  await inParallel(await world.people(CLIENTS), 8, async ({ email }) => {
    const { status, body } = await http.request('POST', '/v1/auth/login', {
      body: { email, password: PASSWORD, transport: 'bearer' },
    });
    if (status !== 200) throw new Error(`a login was answered ${status}`);
    const { refreshToken, deviceToken } = body;
    chains.push({ refreshToken, deviceToken, path: '/v1/auth/refresh' });
  });
  return chains;
}
