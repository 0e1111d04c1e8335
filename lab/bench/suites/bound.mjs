import { interleave, loadCourse, ratios } from '../support/course.mjs';
import { median, rounds } from '../support/figures.mjs';
import { Load } from '../support/load.mjs';
import { request } from '../support/request.mjs';

const TIERS = ['access', 'session', 'strict'];
const CALLERS = 4_000;
/** A bound session may cost this much more CPU on each tier. */
const MOST = 1.05;

/** The cost of a session that is bound to a device key, beside one that is not. Both belong to browsers. */
export async function run(world, { short, say, row }) {
  const instance = await world.tiers();
  const load = new Load();
  try {
    const callers = short ? CALLERS / 2 : CALLERS;
    say(`${callers.toLocaleString('en')} browsers of each kind`);
    for (const isBound of [false, true]) await prepare(world, load, callers, isBound);
    // Many short rounds in turn: the difference is smaller than the drift of the machine within some seconds.
    const how = { ms: 60_000, most: callers };
    const names = TIERS.flatMap((tier) => [`plain ${tier}`, `bound ${tier}`]);
    const courses = names.map((name) => loadCourse(name, load, instance, name, how));
    report(await interleave(courses, short ? 20 : 100, say), row);
  } finally {
    await load.stop();
    await instance.stop();
  }
}

async function prepare(world, load, count, isBound) {
  const sessions = await world.sessions(count, { transport: 'cookie', isBound });
  const cookies = sessions.map((session) => {
    const bound = isBound ? `; __Host-bound=${world.boundCookie(session)}` : '';
    return `__Host-access=${session.token}; __Host-device=${'d'.repeat(43)}${bound}`;
  });
  for (const tier of TIERS) {
    const requests = cookies.map((cookie) => request('GET', `/v1/bench/${tier}`, { headers: { cookie } }));
    await load.prepare(`${isBound ? 'bound' : 'plain'} ${tier}`, requests);
  }
}

function report(results, row) {
  for (const tier of TIERS) {
    const fractions = ratios(results, `bound ${tier}`, `plain ${tier}`);
    const [bound, plain] = ['bound', 'plain'].map((kind) =>
      results.get(`${kind} ${tier}`).map(({ cost }) => cost),
    );
    row({
      what: `${tier} tier, CPU of a bound session as a fraction of a plain one`,
      figure: `${rounds(fractions, '', 3)}; ${rounds(bound, 'µs CPU', 1)}, plain ${rounds(plain, 'µs CPU', 1)}`,
      promise: `≤ ${MOST}`,
      kept: median(fractions) <= MOST,
      values: { bound, plain },
    });
  }
}
