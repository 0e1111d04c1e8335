/**
 * Measures what Drawbridge promises, on real servers and real processes.
 *
 *   npm run bench                              every suite, the full form
 *   npm run bench -- --short                   the short form of most, at most two minutes
 *   npm run bench -- guards peers              some suites
 *   npm run bench -- profile                   the profile of each tier, as text in bench/results/
 *   npm run bench -- --compare <commit> [suite]  this build compared with another commit: ratios only
 *
 * Prints a table, keeps the figures in bench/results/, and exits with 1 when a promise is broken.
 */
import { parseArgs } from 'node:util';
import { COMPARABLE, compare } from './suites/compare.mjs';
import { Report } from './support/report.mjs';
import { World } from './support/world.mjs';

const SUITES = {
  guards: () => import('./suites/guards.mjs'),
  bound: () => import('./suites/bound.mjs'),
  peers: () => import('./suites/peers.mjs'),
  flood: () => import('./suites/flood.mjs'),
  refresh: () => import('./suites/refresh.mjs'),
  revocation: () => import('./suites/revocation.mjs'),
  everyone: () => import('./suites/everyone.mjs'),
  connections: () => import('./suites/connections.mjs'),
  verifier: () => import('./suites/verifier.mjs'),
  scale: () => import('./suites/scale.mjs'),
  start: () => import('./suites/start.mjs'),
};
/**
 * Suites that build, fill stores, or kill them take more than two minutes; requested by name they have a short
 * form, too.
 */
const NOT_IN_SHORT = new Set(['revocation', 'scale', 'start']);
/** Suites that explain, or that measure inputs of the model of docs/evidence/scale.md. */
const ON_REQUEST = {
  profile: () => import('./suites/profile.mjs'),
  sizing: () => import('./suites/sizing.mjs'),
  followers: () => import('./suites/followers.mjs'),
};

const { values: options, positionals: asked } = parseArgs({
  options: { short: { type: 'boolean', default: false }, compare: { type: 'string' } },
  allowPositionals: true,
});
const known = options.compare ? COMPARABLE : { ...SUITES, ...ON_REQUEST };
const unknown = asked.filter((name) => !(name in known));
if (unknown.length > 0) {
  console.error(`there is no suite ${unknown.join(', ')}; there are: ${Object.keys(known).join(', ')}`);
  process.exit(2);
}

const usual = Object.keys(SUITES).filter((name) => !(options.short && NOT_IN_SHORT.has(name)));

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const report = new Report(process.argv.slice(2));
const tools = { short: options.short, say: report.say, row: report.row };
/** Separate stores for each suite, so that no suite affects another one. */
const inWorldOfItsOwn = async (work) => {
  const world = await World.start();
  report.origin = world.origin;
  try {
    report.notePace();
    await work(world);
    report.notePace();
  } finally {
    await world.stop();
  }
};
if (options.compare) {
  const suites = asked.length > 0 ? asked : ['guards'];
  await inWorldOfItsOwn((world) => compare(world, options.compare, suites, tools));
} else {
  for (const name of asked.length > 0 ? asked : usual) {
    const { run } = await known[name]();
    await inWorldOfItsOwn((world) => run(world, tools));
  }
}
report.print();
process.exit(report.isBroken ? 1 : 0);
