import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { percentile, rounds, spread } from '../support/figures.mjs';
import { Load } from '../support/load.mjs';
import { prepare } from './guards.mjs';
import { PRODUCT } from '../../../dist/product.js';

const LONGEST_MS = 50;
const RATE = { connections: 8, rate: 400 };
const OTHERS = 500;
const TIERS = ['access', 'session'];

/** A global logout with many sessions: immediate for holders of tokens, and without delay for later logins. */
export async function run(world, { short, say, row }) {
  const [a, b] = [await world.instance(), await world.tiers()];
  const load = new Load();
  try {
    const many = short ? 20_000 : 1_000_000;
    say(`${many.toLocaleString('en')} live sessions`);
    await world.crowd(many);
    await prepare(world, load, OTHERS);
    const ms = short ? 1_500 : 10_000;
    const idle = await p99s(load, b, ms);

    const refusals = [await endEveryone(world, a, b)];
    say('other users log in and continue during the sweep');
    const [{ seq, endedAt }] = refusals;
    await prepare(world, load, OTHERS); // after the end
    const admin = await world.admin(b);
    const progress = watch(a, admin, seq, many, say);
    const meanwhile = [];
    do meanwhile.push(await p99s(load, b, Math.min(ms, 3_000)));
    while (!progress.doneAt && !progress.fault);
    if (progress.fault) throw progress.fault;
    report({ many, refusals, idle, meanwhile, seconds: (progress.doneAt - endedAt) / 1_000, progress }, row);

    say('everyone again, with hardly anyone there');
    for (let count = 0; count < (short ? 5 : 30); count++) refusals.push(await endEveryone(world, a, b));
    const times = refusals.map(({ took }) => took);
    row({
      what: `end of everyone, commit to refusal on the access tier of another instance, ${times.length} times`,
      figure: `${spread(times)}; with ${many.toLocaleString('en')} sessions ${times[0].toFixed(1)} ms`,
      promise: `A1: p99 ≤ ${LONGEST_MS} ms`,
      kept: percentile(times, 0.99) <= LONGEST_MS,
      values: times,
    });
  } finally {
    await load.stop();
    await Promise.all([a.stop(), b.stop()]);
  }
}

function report({ many, idle, meanwhile, seconds, progress }, row) {
  row({
    what: `the records of ${many.toLocaleString('en')} sessions`,
    figure: `ended in the background within ${seconds.toFixed(1)} s, ${Math.round(many / seconds).toLocaleString('en')} per second; ${progress.seen.length} steps seen by an admin`,
    promise: 'with progress',
    kept: seconds < 3 || progress.seen.length > 1,
    values: progress.seen,
  });
  for (const tier of TIERS) {
    const times = meanwhile.map((p99) => p99[tier] / idle[tier]);
    row({
      what: `${tier} tier of others meanwhile, p99`,
      figure: `${rounds(
        meanwhile.map((p99) => p99[tier]),
        'ms',
        1,
      )}; before ${idle[tier].toFixed(1)} ms: ${rounds(times, 'times', 1)}`,
      promise: '≤ 2 times',
      kept: percentile(times, 0.5) <= 2,
      values: { idle, meanwhile },
    });
  }
}

async function p99s(load, instance, ms) {
  const found = {};
  for (const tier of TIERS) found[tier] = (await load.run(instance.url, tier, { ms, ...RATE })).p99;
  return found;
}

/** Through one instance, watched on another. The commit is when its notification arrives here. */
async function endEveryone(world, a, b) {
  const [{ token }] = await world.sessions(1);
  const admin = await world.admin(a);
  if ((await b.http.get('/v1/auth/whoami', token)).status !== 200)
    throw new Error('a live session was refused');
  const listener = new pg.Client({ connectionString: world.postgres.url });
  await listener.connect();
  await listener.query(`listen ${PRODUCT.revocationsChannel}`);
  const committed = new Promise((heard) => listener.once('notification', () => heard(performance.now())));
  const asked = a.http.request('DELETE', '/v1/admin/sessions', {
    token: admin,
    body: { confirm: 'everyone' },
  });
  while ((await b.http.get('/v1/auth/whoami', token)).status !== 401);
  const refusedAt = performance.now();
  const endedAt = await committed;
  await listener.end();
  const { status, body } = await asked;
  if (status !== 200 && status !== 202) throw new Error(`the end of everyone was answered ${status}`);
  return { took: Math.max(0, refusedAt - endedAt), endedAt, seq: body.seq };
}

/** The progress that an admin sees, until it is done. */
function watch({ http }, token, seq, many, say) {
  const progress = { seen: [], doneAt: null, fault: null };
  const look = async () => {
    for (;;) {
      const { status, body } = await http.get(`/v1/admin/revocations/${seq}`, token);
      if (status !== 200 && status !== 202) throw new Error(`the progress for an admin has status ${status}`);
      // The logout is in force long before it is done: no cached session is valid for more than 30 s, and the sweep
      // of many sessions takes longer.
      if (body.remainingSessions === undefined) break;
      if (body.endedSessions !== progress.seen.at(-1)) progress.seen.push(body.endedSessions);
      say(`${body.endedSessions} of about ${many} records`);
      await sleep(many > 100_000 ? 2_000 : 200);
    }
    progress.doneAt = performance.now();
  };
  look().catch((fault) => (progress.fault = fault));
  return progress;
}
