import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { RevocationSubscriber } from '../../../dist/sessions/revocation/revocation-subscriber.js';
import { percentile, spread } from '../support/figures.mjs';
import { cpuOfFamily } from '../support/world.mjs';
import { PRODUCT } from '../../../dist/product.js';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const INSERT = `
  insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at, applied_at)
  select 'session', array[$1::uuid], 'logout', 1, now(), now() + interval '1 s', now()
  from pg_notify('${PRODUCT.revocationsChannel}', '')`;

/**
 * The feeds of many instances, without the rest of them, in this one process: how soon all have received a
 * revocation, one after the other. It validates the simulation of docs/evidence/scale.md beyond two instances.
 */
export async function run(world, { short, say, row }) {
  await (await world.instance()).stop(); // runs the migrations
  for (const count of [10, 50, 150]) {
    say(`${count} followers`);
    const heard = new Map();
    const denials = {
      apply: ({ subjects: [subject] }) => heard.get(subject)?.push(performance.now()),
      forget() {},
    };
    const feeds = [];
    while (feeds.length < count) {
      const settings = { databaseUrl: world.postgres.url };
      const feed = new RevocationSubscriber(denials, { kind: 'redis' }, clock, settings, silent);
      await feed.onApplicationBootstrap();
      feeds.push(feed);
    }
    const latencies = [];
    const revocations = short ? 30 : 200;
    const [before, own] = [cpuOfFamily(world.postgres.pid), process.cpuUsage()];
    for (let turn = 0; turn < revocations; turn++) {
      const times = [];
      const subject = randomUUID();
      heard.set(subject, times);
      await world.database.query(INSERT, [subject]);
      const committed = performance.now();
      while (times.length < count) await sleep(2);
      latencies.push(...times.slice(0, count).map((at) => Math.max(0, at - committed)));
      await sleep(20 + ((turn * 37) % 60)); // not in step with the polls of each second
    }
    const { user, system } = process.cpuUsage(own);
    const ofPostgres = ((cpuOfFamily(world.postgres.pid) - before) * 1_000) / (revocations * count);
    row({
      what: `${count} followers, ${revocations} revocations, commit to heard`,
      figure: `${spread(latencies)}; for each follower ${ofPostgres.toFixed(0)} µs CPU of PostgreSQL and ${((user + system) / (revocations * count)).toFixed(0)} µs here`,
      values: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), ofPostgres },
    });
    await Promise.all(feeds.map((feed) => feed.beforeApplicationShutdown()));
  }
}
