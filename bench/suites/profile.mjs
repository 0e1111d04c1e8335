import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Load } from '../support/load.mjs';
import { profileText } from '../support/profile-text.mjs';
import { deny, prepare } from './guards.mjs';

const CALLERS = 10_000;

/** Where a tier's time goes, as text. Not a measurement: sampling costs something itself. */
export async function run(world, { short, say, row }) {
  const folder = join(import.meta.dirname, '../results');
  mkdirSync(folder, { recursive: true });
  await deny(world, CALLERS);
  for (const tier of ['public', 'access', 'session', 'strict']) {
    say(`a profile of the ${tier} tier`);
    const samples = join(world.folder, `profile-${tier}`);
    const nodeArgs = ['--cpu-prof', '--cpu-prof-interval', '500', `--cpu-prof-dir=${samples}`];
    const load = new Load();
    const instance = await world.tiers({}, { nodeArgs });
    await prepare(world, load, CALLERS);
    await load.run(instance.url, tier, { ms: 60_000, most: 3 * CALLERS }); // what follows is warm
    const from = monotonic();
    const { requests, rate } = await load.run(instance.url, tier, { ms: short ? 4_000 : 20_000 });
    const window = { from, to: monotonic() };
    await load.stop();
    await instance.stop();
    const [file] = readdirSync(samples);
    const profile = JSON.parse(readFileSync(join(samples, file), 'utf8'));
    const text = profileText(profile, {
      title: `${tier} tier, ${requests} requests`,
      tree: world.tree,
      requests,
      window,
    });
    const target = join(folder, `profile-${tier}.txt`);
    writeFileSync(target, text);
    row({
      what: `profile of the ${tier} tier`,
      figure: `${target.replace(`${process.cwd()}/`, '')}, ${Math.round(rate)} requests/s`,
    });
  }
}

/** Microseconds of the clock that profiles count in; the same for all processes of the machine. */
const monotonic = () => Number(process.hrtime.bigint() / 1_000n);
