/**
 * Sends requests, in a process of its own. Its parent sends the task and the duration, and gets figures back.
 * Requests are prepared bytes over raw sockets, one at a time on each connection, so that the server dominates the
 * measurement.
 */
import { connect } from 'node:net';
import { Answers } from './answers.mjs';
import { follow } from './follow.mjs';

/** Requests by the name under which they were prepared. @type {Map<string, Buffer[]>} */
const prepared = new Map();

process.on('message', async ({ id, kind, ...order }) => {
  try {
    process.send({ id, result: await ORDERS[kind](order) });
  } catch (error) {
    process.send({ id, error: error.stack });
  }
});
process.on('disconnect', () => process.exit(0));

const ORDERS = {
  prepare({ name, requests }) {
    prepared.set(
      name,
      requests.map((text) => Buffer.from(text)),
    );
  },
  run,
};

/**
 * @param {{ url: string, name: string, connections: number, ms: number, most?: number, rate?: number, chains?: object[] }} order
 * `most` requests end it before its time. `rate`: requests per second of all connections together; without it, each
 * connection sends its next request as soon as it has an answer. `chains`: each connection follows its own chain, in
 * which each request is built from the previous answer.
 */
async function run({ url, name, connections, ms, most = Infinity, rate, chains }) {
  const { hostname, port } = new URL(url);
  const requests = prepared.get(name);
  const tally = { statuses: {}, latencies: [], failures: 0 };
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const until = startedAt + ms;
  let place = Math.floor((requests?.length ?? 0) * ((startedAt / 997) % 1)); // another start in each run
  let asked = 0;
  const next = () => requests[place++ % requests.length];

  const caller = (index) =>
    new Promise((done) => {
      const socket = connect({ host: hostname, port, noDelay: true });
      const step = chains ? follow(chains[index]) : next;
      const period = rate ? (connections * 1_000) / rate : 0;
      let dueAt = startedAt + (period * index) / connections;
      let askedAt = 0;
      const finish = () => {
        socket.destroy();
        done();
      };
      const ask = (answer) => {
        const now = performance.now();
        if (now >= until || asked >= most) return finish();
        asked += 1;
        // When it is on time, the lateness of a timer is ours and not the server's.
        if (rate && dueAt > now) return void setTimeout(() => send(answer, performance.now()), dueAt - now);
        // A request that had to wait for an answer counts from its planned time, so that no slowness is hidden.
        send(answer, rate ? Math.max(dueAt, startedAt) : now);
      };
      const send = (answer, since) => {
        const request = step(answer);
        if (!request) return finish();
        askedAt = since;
        dueAt += period;
        socket.write(request);
      };
      const answers = new Answers((status, text) => {
        const now = performance.now();
        tally.statuses[status] = (tally.statuses[status] ?? 0) + 1;
        tally.latencies.push(now - askedAt);
        ask(chains && { status, text: text() });
      });
      socket.on('data', (chunk) => answers.take(chunk));
      socket.on('error', () => (tally.failures += 1));
      socket.on('close', finish);
      socket.on('connect', () => ask());
    });
  await Promise.all(Array.from({ length: connections }, (_, index) => caller(index)));
  const elapsed = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  const sorted = Float64Array.from(tally.latencies).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return {
    requests: sorted.length,
    statuses: tally.statuses,
    failures: tally.failures,
    seconds: elapsed / 1_000,
    /** The share of its core for sending: near 1, the load itself was measured. */
    busy: (user + system) / 1_000 / elapsed,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
  };
}
