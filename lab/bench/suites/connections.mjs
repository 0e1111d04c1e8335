import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { inParallel, percentile, spread } from '../support/figures.mjs';
import { cpuOf, memoryOf } from '../support/world.mjs';

const LONGEST_MS = 50;

/** Open connections of the built application: memory, CPU per message, and how soon an end closes them. */
export async function run(world, { short, say, row }) {
  const count = short ? 500 : 2_000;
  const env = { MAX_CONNECTIONS: '20000', OPEN_CONNECTIONS_PER_USER: '100' };
  const [a, b] = [await world.instance(env), await world.instance(env)];
  const admin = await world.admin(a);
  const sessions = await world.sessions(2 * count);
  say(`${count} event streams and ${count} WebSockets on one instance, ended through another`);
  const streams = await opened(b, sessions.slice(0, count), openStream, row, 'event stream');
  const sockets = await opened(b, sessions.slice(count), openSocket, row, 'WebSocket');
  await chat(b, sockets, row);
  for (const [what, clients] of [
    ['an event stream', streams],
    ['a WebSocket', sockets],
  ]) {
    const some = clients.slice(0, short ? 100 : 500);
    const took = [];
    for (const client of some) {
      const { status } = await a.http.request('DELETE', `/v1/admin/sessions/${client.id}`, { token: admin });
      const receiptAt = performance.now();
      if (status !== 200) throw new Error('a revocation was not applied');
      await client.closed;
      took.push(Math.max(0, client.closedAt - receiptAt));
    }
    row({
      what: `receipt to the close of ${what} on another instance, ${some.length} ends`,
      figure: spread(took),
      promise: `p99 ≤ ${LONGEST_MS} ms`,
      kept: percentile(took, 0.99) <= LONGEST_MS,
      values: { took },
    });
  }
  for (const { close } of [...streams, ...sockets]) close();
}

async function opened(instance, sessions, open, row, what) {
  await sleep(1_000);
  const before = memoryOf(instance.pid);
  const clients = [];
  await inParallel(sessions, 16, async (session) => clients.push(await open(instance.url, session)));
  await sleep(2_000);
  const perConnection = ((memoryOf(instance.pid) - before) * 1_024) / sessions.length;
  row({
    what: `memory of an open ${what} on the server, ${sessions.length} of them`,
    figure: `${perConnection.toFixed(1)} kB`,
    values: { perConnection },
  });
  return clients;
}

/** One message to every WebSocket: each delivery is checked on the session tier. */
async function chat(instance, sockets, row) {
  const ROUNDS = 20;
  const received = () => sockets.reduce((sum, { messages }) => sum + messages, 0);
  const before = cpuOf(instance.pid);
  for (let round = 1; round <= ROUNDS; round++) {
    sockets[0].socket.send(JSON.stringify({ event: 'say', data: { text: `message ${round}` } }));
    while (received() < round * sockets.length) await sleep(5);
  }
  const micros = ((cpuOf(instance.pid) - before) * 1_000) / (ROUNDS * sockets.length);
  row({
    what: `CPU of the server per message of a WebSocket that passes the session check, ${sockets.length} at once`,
    figure: `${micros.toFixed(1)} µs`,
    values: { micros },
  });
}

function openStream(url, { id, token }) {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/v1/notifications`, {
      headers: { authorization: `Bearer ${token}` },
      agent: false,
    });
    sent.on('error', () => undefined);
    sent.on('response', (response) => {
      if (response.statusCode !== 200)
        return reject(new Error(`a stream was refused: ${response.statusCode}`));
      const client = { id, close: () => sent.destroy() };
      response.resume();
      client.closed = new Promise((closed) =>
        response.once('close', () => closed((client.closedAt = performance.now()))),
      );
      resolve(client);
    });
    sent.end();
  });
}

function openSocket(url, { id, token }) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/chat`, {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    });
    const client = { id, socket, messages: 0, close: () => socket.terminate() };
    client.closed = new Promise((closed) =>
      socket.once('close', () => closed((client.closedAt = performance.now()))),
    );
    socket.on('message', () => (client.messages += 1));
    socket.once('error', reject);
    socket.once('open', () => resolve(client));
  });
}
