import { cpuOf } from './world.mjs';

/**
 * Something that is measured again and again. `cost` is in microseconds of the server's CPU for each request: steadier than
 * requests per second, which drift with whatever else the machine does.
 * @typedef {{ name: string, measure: () => Promise<Measured> }} Course
 * @typedef {{ cost: number, rate: number, busy?: number, p99?: number }} Measured
 */

/**
 * A load on one path of one server.
 * @param {import('./load.mjs').Load} load
 * @param {{ url: string, pid: number, forgetLog?: () => void, cpu?: () => number }} server `cpu`: of whom, if not of itself
 * @param {string} prepared the requests' name
 * @param {{ ms: number, everybody?: number }} how `everybody`: so many have asked once before the time runs. Others are measured
 * in between, and who keeps asking would not have been forgotten by then
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
 * All courses in turn, so often, each round beginning with another: what drifts, drifts for all.
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

/** Of two courses, round by round: what the first one costs in terms of the second. */
export function ratios(results, first, second, of = (measured) => measured.cost) {
  return results.get(first).map((measured, round) => of(measured) / of(results.get(second)[round]));
}
