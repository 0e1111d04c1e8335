/**
 * Measures what Drawbridge promises, on real servers and real processes.
 *
 *   npm run bench                      every suite, the full form
 *   npm run bench -- --short           the short form, at most two minutes
 *   npm run bench -- revocation        one suite
 *
 * Prints a table, keeps the figures in bench/results/, and ends with 1 when a promise is broken.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { World } from './support/world.mjs';

const SUITES = {
  guards: () => import('./suites/guards.mjs'),
  peers: () => import('./suites/peers.mjs'),
  profile: () => import('./suites/profile.mjs'),
  revocation: () => import('./suites/revocation.mjs'),
};

const args = process.argv.slice(2);
const short = args.includes('--short');
const asked = args.filter((arg) => !arg.startsWith('--'));
const unknown = asked.filter((name) => !(name in SUITES));
if (unknown.length > 0) {
  console.error(`there is no suite ${unknown.join(', ')}; there are: ${Object.keys(SUITES).join(', ')}`);
  process.exit(2);
}

const world = await World.start();
const rows = [];
try {
  for (const name of asked.length > 0 ? asked : Object.keys(SUITES)) {
    const { run } = await SUITES[name]();
    await run(world, { short, say, row });
  }
} finally {
  await world.stop();
}
report();
process.exit(rows.some(({ kept }) => kept === false) ? 1 : 0);

/** @param {string} text */
function say(text) {
  console.error(`… ${text}`);
}

/**
 * One line of the table. `kept` says whether a promise holds; without one it is only a figure.
 * @param {{ what: string, figure: string, promise?: string, kept?: boolean, values?: object }} line
 */
function row(line) {
  rows.push(line);
  console.error(`  ${line.what}: ${line.figure}${line.kept === false ? '  BROKEN' : ''}`);
}

function report() {
  const machine = `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, Node ${process.versions.node}, ${world.origin}`;
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const command = `npm run bench${args.length > 0 ? ` -- ${args.join(' ')}` : ''}`;
  const at = new Date().toISOString();
  const folder = join(import.meta.dirname, 'results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, `${at.replaceAll(':', '')}.json`),
    JSON.stringify({ command, at, commit, machine, rows }, null, 2),
  );
  console.log(`\n\`${command}\` at ${commit}, ${at.slice(0, 10)}, ${machine}\n`);
  console.log('| what | measured | promised |\n|---|---|---|');
  for (const { what, figure, promise = '', kept } of rows) {
    console.log(`| ${what} | ${figure}${kept === false ? ' **broken**' : ''} | ${promise} |`);
  }
}
