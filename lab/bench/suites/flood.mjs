import { inParallel, median, rounds } from '../support/figures.mjs';
import { Load } from '../support/load.mjs';
import { request } from '../support/request.mjs';
import { PASSWORD } from '../support/world.mjs';
import { prepare } from './guards.mjs';

const AT_ONCE = 50;
const MORE_THAN_FIT = 200;
const CALLERS = 1_000;
/** Each logs in once or twice, as on a morning, so that no limit of sessions is reached. */
const PEOPLE = 6_000;
/** Far below the rate at which they would wait for each other: they wait only for the flood. */
const RATE = { connections: 8, rate: 400 };
const TIERS = ['access', 'session'];

/** Password hashes are slow by design. Many logins at once must not delay logged-in users. */
export async function run(world, { short, say, row }) {
  const [load, flood] = [new Load(), new Load()];
  const instance = await world.tiers();
  try {
    await prepare(world, load, CALLERS);
    await flood.prepare('login', await logins(world, PEOPLE));
    const ms = short ? 1_500 : 5_000;
    const [idle, flooded] = [new Map(), new Map()];
    const answers = { rate: [], p50: [], max: [] };
    say('warming up');
    await flood.run(instance.url, 'login', { ms: 60_000, most: short ? 300 : 2_000, connections: AT_ONCE });
    for (const tier of TIERS) await load.run(instance.url, tier, { ms: 60_000, most: CALLERS });
    for (let round = 0; round < (short ? 2 : 7); round++) {
      say(`the tiers without and with ${AT_ONCE} logins at once`);
      for (const tier of TIERS) note(idle, tier, await load.run(instance.url, tier, { ms, ...RATE }));
      const logging = flood.run(instance.url, 'login', { ms: ms * TIERS.length, connections: AT_ONCE });
      for (const tier of TIERS) note(flooded, tier, await load.run(instance.url, tier, { ms, ...RATE }));
      const { rate, p50, max } = await logging;
      for (const [name, value] of Object.entries({ rate, p50, max })) answers[name].push(value);
    }
    for (const tier of TIERS) {
      const times = flooded.get(tier).map((p99, round) => p99 / idle.get(tier)[round]);
      row({
        what: `${tier} tier, p99 with ${AT_ONCE} logins at once`,
        figure: `${rounds(flooded.get(tier), 'ms', 1)}; idle ${rounds(idle.get(tier), 'ms', 1)}: ${rounds(times, 'times', 1)}`,
        promise: '≤ 2 times idle',
        kept: median(times) <= 2,
        values: { idle: idle.get(tier), flooded: flooded.get(tier) },
      });
    }
    row({
      what: `these logins`,
      figure: `${rounds(answers.rate, 'per second')}, half within ${median(answers.p50).toFixed(0)} ms, the longest ${Math.max(...answers.max).toFixed(0)} ms; all answered 200`,
      values: answers,
    });
    await tooMany(instance, world, { say, row });
  } finally {
    await Promise.all([load.stop(), flood.stop()]);
    await instance.stop();
  }
}

const note = (notes, tier, { p99 }) => notes.set(tier, [...(notes.get(tier) ?? []), p99]);

async function logins(world, count) {
  const people = await world.people(count);
  return people.map(({ email }) =>
    request('POST', '/v1/auth/login', { body: { email, password: PASSWORD, transport: 'bearer' } }),
  );
}

/**
 * More at one moment than the queue takes: the others get 503 with Retry-After, and every request gets an answer.
 */
async function tooMany(instance, world, { say, row }) {
  say(`${MORE_THAN_FIT} logins in one moment`);
  const people = await world.people(MORE_THAN_FIT);
  const statuses = {};
  const startedAt = performance.now();
  await inParallel(people, MORE_THAN_FIT, async ({ email }) => {
    const body = { email, password: PASSWORD, transport: 'bearer' };
    const { status, headers } = await instance.http.request('POST', '/v1/auth/login', { body });
    const what = status === 503 && headers['retry-after'] ? '503 with Retry-After' : `${status}`;
    statuses[what] = (statuses[what] ?? 0) + 1;
  });
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  row({
    what: `${MORE_THAN_FIT} logins in one moment`,
    figure: `${Object.entries(statuses)
      .map(([what, count]) => `${count} × ${what}`)
      .join(', ')}; the last after ${seconds} s`,
    promise: 'all accepted, or refused with Retry-After',
    kept: Object.keys(statuses).every((what) => what === '200' || what === '503 with Retry-After'),
    values: statuses,
  });
}
