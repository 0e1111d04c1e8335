import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Load } from '../support/load.mjs';
import { profileText } from '../support/profile-text.mjs';
import { deny, prepare } from './guards.mjs';
import { chainsOf } from './refresh.mjs';

const CALLERS = 10_000;

/**
 * Shows where the time of a tier and of a refresh goes, as text. This is no measurement, because sampling has a
 * cost.
 */
export async function run(world, { short, say, row }) {
  const folder = join(import.meta.dirname, '../results');
  mkdirSync(folder, { recursive: true });
  await deny(world, CALLERS);
  const loads = Object.fromEntries(['public', 'access', 'session', 'strict'].map((tier) => [tier, callers]));
  for (const [name, prepared] of Object.entries({ ...loads, refresh: refreshers })) {
    say(`a profile: ${name}`);
    const samples = join(world.folder, `profile-${name}`);
    const nodeArgs = ['--cpu-prof', '--cpu-prof-interval', '500', `--cpu-prof-dir=${samples}`];
    const load = new Load();
    const instance = await world.tiers({}, { nodeArgs });
    const measure = await prepared(world, load, instance, name);
    await measure(3_000); // warms up
    const from = monotonic();
    const { requests, rate } = await measure(short ? 4_000 : 20_000);
    const window = { from, to: monotonic() };
    await load.stop();
    await instance.stop();
    const [file] = readdirSync(samples);
    const profile = JSON.parse(readFileSync(join(samples, file), 'utf8'));
    const text = profileText(profile, {
      title: `${name}, ${requests} requests`,
      tree: world.tree,
      requests,
      window,
    });
    const target = join(folder, `profile-${name}.txt`);
    writeFileSync(target, text);
    row({
      what: `profile: ${name}`,
      figure: `${target.replace(`${process.cwd()}/`, '')}, ${Math.round(rate)} requests/s`,
    });
  }
}

async function callers(world, load, { url }, tier) {
  await prepare(world, load, CALLERS);
  await load.run(url, tier, { ms: 60_000, most: 3 * CALLERS });
  return (ms) => load.run(url, tier, { ms });
}

/** Newly logged-in users for each run, because the final state of a load is unknown. */
async function refreshers(world, load, instance) {
  const chains = [await chainsOf(world, instance), await chainsOf(world, instance)];
  return (ms) => load.run(instance.url, 'refresh', { ms, chains: chains.pop() });
}

/** Microseconds of the clock of profiles; the same for all processes of the machine. */
const monotonic = () => Number(process.hrtime.bigint() / 1_000n);
