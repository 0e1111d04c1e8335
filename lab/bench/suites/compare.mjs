import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { interleave, ratios } from '../support/course.mjs';
import { rounds } from '../support/figures.mjs';
import { Load } from '../support/load.mjs';
import { World } from '../support/world.mjs';

const HERE = resolve(import.meta.dirname, '../../..');

/** Suites that can measure two builds in turn: each provides its courses. */
export const COMPARABLE = {
  guards: () => import('./guards.mjs'),
  refresh: () => import('./refresh.mjs'),
  start: () => import('./start.mjs'),
};

/**
 * Compares this build with that of another commit, on this machine, in turn. It reports only ratios, because
 * figures of two runs, or of two machines, are not comparable.
 */
export async function compare(world, commit, suites, { short, say, row }) {
  say(`building ${commit}`);
  const tree = checkOut(commit);
  const other = await World.start(tree);
  const load = new Load();
  try {
    for (const suite of suites) {
      const found = new Map();
      // Each process differs in the compiler and the heap, so several of each build take part.
      for (let generation = 0; generation < (short ? 2 : 5); generation++) {
        say(`${suite}, pair ${generation + 1} of processes`);
        const worlds = generation % 2 === 0 ? [world, other] : [other, world];
        for (const [name, costs] of await pair(await COMPARABLE[suite](), worlds, world, load, short))
          found.set(name, [...(found.get(name) ?? []), ...costs]);
      }
      for (const [name, costs] of found) {
        const what = `${suite}, ${name}: cost relative to ${commit}`;
        row({ what, figure: `${rounds(costs, '', 3)} ${costs.length} times`, values: costs });
      }
    }
  } finally {
    await load.stop();
    await other.stop();
  }
}

/**
 * @returns {Promise<[string, number[]][]>} for each course, the ratio of the cost here to the cost there, round by
 * round
 */
async function pair({ courses, rounds: most = 30 }, worlds, here, load, short) {
  const sides = [];
  for (const world of worlds)
    sides.push({ side: world === here, ...(await courses(world, load, { short })) });
  const names = sides[0].courses.map(({ name }) => name);
  const all = names.flatMap((name, place) =>
    sides.map(({ side, courses }) => ({ ...courses[place], name: `${side ? 'new' : 'old'} ${name}` })),
  );
  const results = await interleave(all, short ? Math.ceil(most / 3) : most);
  await Promise.all(sides.map(({ stop }) => stop()));
  return names.map((name) => [name, ratios(results, `new ${name}`, `old ${name}`)]);
}

/** Checks out the commit and builds it. Its own child process has the routes (see `World.tiers`); the load is this bench's. */
function checkOut(commit) {
  const tree = join(mkdtempSync(join(tmpdir(), 'drawbridge-compare-')), 'tree');
  const run = (program, ...args) =>
    execFileSync(program, args, { cwd: tree, stdio: ['ignore', 'ignore', 'inherit'] });
  process.once('exit', () => remove(tree));
  execFileSync('git', ['worktree', 'add', '--detach', tree, commit], { cwd: HERE, stdio: 'ignore' });
  if (lockOf(tree) === lockOf(HERE)) symlinkSync(join(HERE, 'node_modules'), join(tree, 'node_modules'));
  else run('npm', 'ci', '--no-fund', '--no-audit');
  run('npm', 'run', 'build');
  return tree;
}

const lockOf = (folder) => readFileSync(join(folder, 'package-lock.json'), 'utf8');

function remove(tree) {
  execFileSync('git', ['worktree', 'remove', '--force', tree], { cwd: HERE });
  rmSync(join(tree, '..'), { recursive: true, force: true });
}
