import { cpuOf } from './world.mjs';

/**
 * A repeated measurement. `cost` is in microseconds of the server's CPU for each request, which is steadier than
 * requests per second, because these depend on other load of the machine.
 * @typedef {{ name: string, measure: () => Promise<Measured> }} Course
 * @typedef {{ cost: number, rate: number, busy?: number, p99?: number }} Measured
 */

/**
 * A load on one path of one server.
 * @param {import('./load.mjs').Load} load
 * @param {{ url: string, pid: number, forgetLog?: () => void, cpu?: () => number }} server `cpu`: of another
 * process than the server
 * @param {string} prepared the requests' name
 * @param {{ ms: number, everybody?: number }} how `everybody`: so many callers send one request before the time
 * runs, because their cached sessions have expired during the other courses
 * @returns {Course}
 */
export function loadCourse(name, load, server, prepared, { everybody, ...how }) {
  const measure = async () => {
    if (everybody) await load.run(server.url, prepared, { ...how, ms: 60_000, most: everybody });
    const cpu = server.cpu ?? (() => cpuOf(server.pid));
    const before = cpu();
    const { requests, rate, busy, p50, p99 } = await load.run(server.url, prepared, how);
    const cost = ((cpu() - before) * 1_000) / requests;
    server.forgetLog?.();
    return { cost, rate, busy, p50, p99 };
  };
  return { name, measure };
}

/**
 * Runs all courses in turn, so often, each round in another order, so that drift affects all equally.
 * @param {Course[]} courses
 * @returns {Promise<Map<string, Measured[]>>}
 */
export async function interleave(courses, rounds, say) {
  const results = new Map(courses.map(({ name }) => [name, []]));
  for (const { measure } of courses) await measure(); // warm
  for (let round = 0; round < rounds; round++) {
    say?.(`round ${round + 1} of ${rounds}`);
    for (let place = 0; place < courses.length; place++) {
      const { name, measure } = courses[(place + round) % courses.length];
      results.get(name).push(await measure());
    }
  }
  return results;
}

/** The ratio of the costs of two courses, round by round. */
export function ratios(results, first, second, of = (measured) => measured.cost) {
  return results.get(first).map((measured, round) => of(measured) / of(results.get(second)[round]));
}
