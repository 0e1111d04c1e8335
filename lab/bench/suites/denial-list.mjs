import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { inParallel, rounds } from '../support/figures.mjs';
import { cpuOf, memoryOf } from '../support/world.mjs';

const SIZES = [1, 10_000, 1_000_000];

/** The cost of the list by which the access tier refuses: alone, and in an instance with the list. */
export async function denialList(world, { short, say, row }) {
  const sizes = short ? SIZES.slice(0, 2) : SIZES;
  for (const size of sizes) {
    for (const kind of ['session', 'user']) {
      say(`a denial list with ${size} entries of kind ${kind}`);
      const alone = JSON.parse(
        execFileSync(
          process.execPath,
          ['--expose-gc', join(import.meta.dirname, 'denial-list.child.mjs'), kind, String(size)],
          {
            encoding: 'utf8',
            maxBuffer: 1 << 20,
          },
        ),
      );
      row({
        what: `denial list, ${size.toLocaleString('en')} entries of kind ${kind}`,
        figure: `${size > 1 ? `${Math.round(alone.bytes)} B per entry, ` : ''}look-up ${rounds(alone.lookups, 'ns')}`,
        values: alone,
      });
    }
  }
  let loaded = 0;
  for (const size of sizes) {
    say(`an instance with ${size} live revocations`);
    await world.database.query(
      `insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at, applied_at)
       select 'session', array[gen_random_uuid()], 'admin', 1, now(), now() + interval '1 hour', now() from generate_series(1, $1)`,
      [size - loaded],
    );
    loaded = size;
    await world.database.query('analyze revocations');
    const instance = await world.instance();
    const [{ token }] = await world.sessions(1);
    const whoami = () => instance.http.get('/v1/auth/whoami', token);
    const requests = Array.from({ length: short ? 5_000 : 20_000 }, (_, index) => index);
    await inParallel(requests.slice(0, 3_000), 32, whoami);
    const costs = [];
    for (let round = 0; round < (short ? 2 : 5); round++) {
      const before = cpuOf(instance.pid);
      await inParallel(requests, 32, whoami);
      costs.push(((cpuOf(instance.pid) - before) * 1_000) / requests.length);
    }
    row({
      what: `an instance that boots with ${size.toLocaleString('en')} live revocations`,
      figure: `ready after ${(instance.readyAfter / 1_000).toFixed(1)} s, ${memoryOf(instance.pid)} MB; a request of the access tier costs ${rounds(costs, 'µs CPU')}`,
      values: { readyAfter: instance.readyAfter, costs },
    });
    await instance.stop();
  }
}
