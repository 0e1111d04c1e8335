import pg from 'pg';
import { inParallel, percentile, spread } from '../support/figures.mjs';
import { PRODUCT } from '../../../dist/product.js';

const LONGEST_MS = 50;

/**
 * A1: the time from the commit of a revocation on one instance to the refusal by the access tier of another. The
 * commit is when its notification arrives here; the other instance gets requests without pause, one after the
 * other.
 */
export async function feedLatency(world, [a, b], { short, say, row }) {
  const count = short ? 200 : 1_000;
  say(`${count} revocations through one instance, each watched on another`);
  const admin = await world.admin(a);
  const listener = new pg.Client({ connectionString: world.postgres.url });
  await listener.connect();
  await listener.query(`listen ${PRODUCT.revocationsChannel}`);
  const [sinceCommit, sinceAsked] = [[], []];
  for (const { id, token } of await world.sessions(count)) {
    const committed = new Promise((heard) => listener.once('notification', () => heard(performance.now())));
    if ((await b.http.get('/v1/auth/whoami', token)).status !== 200)
      throw new Error('a live session was refused');
    const askedAt = performance.now();
    const ending = a.http.request('DELETE', `/v1/admin/sessions/${id}`, { token: admin });
    let refusedAt;
    while (!refusedAt) {
      const { status } = await b.http.get('/v1/auth/whoami', token);
      if (status === 401) refusedAt = performance.now();
    }
    if ((await ending).status !== 200) throw new Error('a revocation was not applied');
    sinceCommit.push(Math.max(0, refusedAt - (await committed)));
    sinceAsked.push(refusedAt - askedAt);
  }
  await listener.end();
  const promise = `A1: p99 ≤ ${LONGEST_MS} ms`;
  row({
    what: `commit to refusal on the access tier of another instance, ${count} revocations`,
    figure: spread(sinceCommit),
    promise,
    kept: percentile(sinceCommit, 0.99) <= LONGEST_MS,
    values: { sinceCommit },
  });
  row({ what: 'the same from sending the force-logout', figure: spread(sinceAsked), values: { sinceAsked } });
}

/**
 * S1: sessions are checked on both instances while they end; a check that starts after the receipt must be refused.
 */
export async function raceAgainstChecks(world, instances, { short, say, row }) {
  const count = short ? 1_000 : 10_000;
  say(`${count} revocations that race checks on two instances`);
  const admin = await world.admin(instances[0]);
  const outcome = { applied: 0, pending: 0, racing: 0, after: 0, accepted: 0, unavailable: 0 };
  const one = async ({ id, token }) => {
    const race = { over: false };
    const check = ({ http }) => http.get('/v1/sessions/current', token);
    const hammer = async (instance) => {
      while (!race.over) {
        await check(instance);
        outcome.racing += 1;
      }
    };
    const hammers = instances.map(hammer);
    const through = instances[outcome.racing % 2];
    const { status } = await through.http.request('DELETE', `/v1/admin/sessions/${id}`, { token: admin });
    outcome[status === 200 ? 'applied' : 'pending'] += 1;
    const later = await Promise.all(instances.flatMap((instance) => [check(instance), check(instance)]));
    race.over = true;
    await Promise.all(hammers);
    if (status !== 200) return;
    outcome.after += later.length;
    outcome.accepted += later.filter((answer) => answer.status < 300).length;
    outcome.unavailable += later.filter((answer) => answer.status === 503).length;
  };
  for (let done = 0; done < count; done += 1_000) {
    await inParallel(await world.sessions(Math.min(1_000, count - done)), 16, one);
  }
  row({
    what: `accepted after \`applied\`, ${outcome.applied} racing revocations, ${outcome.after} checks that began after`,
    figure: `${outcome.accepted} accepted, ${outcome.unavailable} answered 503 (${outcome.racing} checks while they ended, ${outcome.pending} pending)`,
    promise: 'S1: 0',
    kept: outcome.accepted === 0 && outcome.applied + outcome.pending === count,
    values: outcome,
  });
}
