/**
 * `npm run explore -- 1000000 [first seed]`: so many schedules, from a random seed by default. It runs a bundle of the
 * explorer, because the test runner takes twice the time. `lab/specs/schedules.spec.ts` runs a few of them.
 */
import { build } from 'esbuild';
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';

const SHARE = 10_000;
const root = resolve(import.meta.dirname, '../..');
const [count, first] = readArguments();

// Problems are created often, and a stack trace would cost more than the rest of a check.
Error.stackTraceLimit = 3;
setFlagsFromString('--max-semi-space-size=64');
console.log(`${count} schedules from seed ${first}`);
const { Explorer, randomFrom } = await load();
const counts = new Map();
for (let seed = first; seed < first + count; seed++) {
  const explorer = new Explorer(randomFrom(seed));
  await explorer.run();
  if (explorer.violations.length > 0) {
    console.error(`SEED=${seed}: ${explorer.violations.join('; ')}\n  ${explorer.history.join('\n  ')}`);
    process.exit(1);
  }
  for (const [kind, times] of explorer.counts) counts.set(kind, (counts.get(kind) ?? 0) + times);
  const done = seed - first + 1;
  if (done % SHARE === 0) console.log(`${done} schedules, none broke a promise`);
}
console.log('events in a schedule, on average:');
for (const [kind, times] of [...counts].sort()) console.log(`  ${(times / count).toFixed(2)} ${kind}`);
process.exit(0); // timers of the last schedules may be running

function readArguments() {
  const [count = '1000000', seed = String(Math.floor(Date.now() / 1_000) * 1_000)] = process.argv.slice(2);
  return [Number(count), Number(seed)];
}

async function load() {
  const folder = join(root, 'dist/explorer');
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `explorer-${process.pid}.mjs`);
  await build({
    stdin: {
      contents: `export { Explorer } from './explorer.js'; export { randomFrom } from './stores/network.js';`,
      resolveDir: import.meta.dirname,
    },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    tsconfig: join(root, 'tsconfig.json'),
  });
  const explorer = await import(outfile);
  rmSync(outfile);
  return explorer;
}
