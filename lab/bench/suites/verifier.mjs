import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { PRODUCT } from '../../../dist/product.js';
import { createVerifier } from '../../../packages/verifier/dist/index.js';
import { median, percentile, rounds, spread } from '../support/figures.mjs';
import { StoreCounts, sum } from '../support/stores.mjs';
import { cpuOf, memoryOf } from '../support/world.mjs';
import { install, PEERS_FOLDER } from './peers.mjs';

const LIBRARIES = ['ours', 'jose', 'fast-jwt', 'express-oauth2-jwt-bearer'];
const TOKENS = 1_000;
const GOAL = 1.25;
const FOLLOWERS = 1_000;
const MAX_LATENCY_MS = 50;
/** Each follower makes two requests at its start. */
const ENV = { API_KEY_REQUESTS_PER_MINUTE: '1000000' };

/** Verifiers outside of the application: the cost of a check, how soon they refuse, and the cost of many on one instance. */
export async function run(world, tools) {
  install(tools.say);
  const [a, b] = [await world.instance(ENV), await world.instance(ENV)];
  const apiKey = await keyOf(world, a);
  const setup = { url: b.url, apiKey, issuer: PRODUCT.slug, audience: PRODUCT.slug };
  await costs(world, setup, tools);
  await latency(world, a, setup, tools);
  await followers(world, a, b, apiKey, tools);
  await Promise.all([a.stop(), b.stop()]);
}

async function keyOf(world, instance) {
  const body = { name: 'verifiers', scopes: ['revocations:read'] };
  const answer = await instance.http.request('POST', '/v1/api-keys', {
    body,
    token: await world.admin(instance),
  });
  if (answer.status !== 201) throw new Error(`no API key: ${answer.status}`);
  return answer.body.key;
}

/** The check alone, without HTTP: 1,000 callers who come again, so that each library may use its cache. */
async function costs(world, setup, { short, say, row }) {
  const tokens = (await world.sessions(TOKENS)).map(({ token }) => token);
  const children = new Map();
  for (const name of LIBRARIES) {
    say(`starting ${name}`);
    const child = fork(join(PEERS_FOLDER, 'verify.mjs'), [name], { cwd: PEERS_FOLDER });
    child.send({ ...setup, tokens });
    const [message] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
    if (message !== 'ready') throw new Error(`${name} does not start`);
    children.set(name, child);
  }
  const results = new Map(LIBRARIES.map((name) => [name, []]));
  for (let round = 0; round < (short ? 5 : 15); round++) {
    for (let place = 0; place < LIBRARIES.length; place++) {
      const name = LIBRARIES[(place + round) % LIBRARIES.length];
      children.get(name).send('run');
      const [cost] = await once(children.get(name), 'message');
      results.get(name).push(cost);
    }
  }
  for (const child of children.values()) child.kill();
  const ours = results.get('ours');
  row({ what: 'a check of our verifier', figure: rounds(ours, 'µs CPU', 2), values: { ours } });
  for (const name of LIBRARIES.slice(1)) {
    const times = results.get(name).map((cost, round) => cost / ours[round]);
    row({
      what: `${name}: cost of the same check, with its cache, relative to ours`,
      figure: `${rounds(times, 'times', 1)}; ${rounds(results.get(name), 'µs CPU', 1)}`,
      promise: `≥ ${GOAL}`,
      kept: median(times) >= GOAL,
      values: { costs: results.get(name) },
    });
  }
}

/** A5: the commit is when its notification arrives here. The verifier follows another instance than the one that commits. */
async function latency(world, a, setup, { short, say, row }) {
  const count = short ? 200 : 1_000;
  say(`${count} revocations, each watched at a verifier`);
  const verifier = createVerifier({ ...setup, whenBlind: 'deny' });
  await verifier.ready();
  const admin = await world.admin(a);
  const listener = new pg.Client({ connectionString: world.postgres.url });
  await listener.connect();
  await listener.query(`listen ${PRODUCT.revocationsChannel}`);
  const times = [];
  for (const { id, token } of await world.sessions(count)) {
    const committed = new Promise((heard) => listener.once('notification', () => heard(performance.now())));
    verifier.check({ headers: { authorization: `Bearer ${token}` } }); // throws for a live session that is refused
    const ending = a.http.request('DELETE', `/v1/admin/sessions/${id}`, { token: admin });
    const refusedAt = await refusal(verifier, token);
    if ((await ending).status !== 200) throw new Error('a revocation was not applied');
    times.push(Math.max(0, refusedAt - (await committed)));
  }
  await listener.end();
  verifier.close();
  row({
    what: `commit to refusal at a verifier of another instance, ${count} revocations`,
    figure: spread(times),
    promise: `A5: p99 ≤ ${MAX_LATENCY_MS} ms`,
    kept: percentile(times, 0.99) <= MAX_LATENCY_MS,
    values: { times },
  });
}

async function refusal(verifier, token) {
  for (;;) {
    try {
      verifier.check({ headers: { authorization: `Bearer ${token}` } });
    } catch {
      return performance.now();
    }
    await new Promise(setImmediate);
  }
}

/** Streams without the verifiers behind them: they would take the memory of this machine, and no more of the instance. */
async function followers(world, a, b, apiKey, { short, say, row }) {
  say(`${FOLLOWERS} followers of one instance`);
  const counts = await StoreCounts.of(world);
  const seconds = short ? 10 : 30;
  await sleep(seconds * 1_000); // the instance still compiles what it has just done
  const idle = await load(world, counts, b, seconds);
  const heard = new Map();
  const agent = new Agent({ keepAlive: false, maxSockets: Infinity });
  const streams = [];
  for (let count = 0; count < FOLLOWERS; count++) streams.push(await follow(b.url, apiKey, agent, heard));
  const busy = await load(world, counts, b, seconds);
  const times = await fanOut(world, a, heard, short ? 20 : 100);
  for (const stream of streams) stream.destroy();
  await counts.stop();
  row({
    what: `${FOLLOWERS.toLocaleString('en')} followers of one instance`,
    figure:
      `${busy.memory - idle.memory} MB more, ${(busy.cpu - idle.cpu).toFixed(1)} ms CPU more per second; ` +
      `${busy.statements.toFixed(1)} statements per second, without them ${idle.statements.toFixed(1)}`,
    promise: 'no more statements',
    kept: busy.statements <= idle.statements + 0.5,
    values: { idle, busy },
  });
  row({
    what: `commit to each of ${FOLLOWERS.toLocaleString('en')} followers, which are all in the load process`,
    figure: `${spread(times.flat())}; to the last one p50 ${median(times.map((all) => Math.max(...all))).toFixed(1)} ms`,
    values: { times },
  });
}

async function load(world, counts, instance, seconds) {
  const before = cpuOf(instance.pid);
  const { statements } = await counts.during(() => sleep(seconds * 1_000));
  const cpu = (cpuOf(instance.pid) - before) / seconds;
  return { cpu, memory: memoryOf(instance.pid), statements: sum(statements) / seconds };
}

function follow(url, apiKey, agent, heard) {
  return new Promise((resolve, reject) => {
    const request = get(`${url}/v1/revocations/stream`, { agent, headers: { 'x-api-key': apiKey } });
    request.on('error', reject);
    request.on('response', (response) => {
      if (response.statusCode !== 200) return reject(new Error(`a follower got ${response.statusCode}`));
      response.on('error', () => undefined);
      response.setEncoding('utf8').on('data', (text) => {
        for (const [, seq] of text.matchAll(/"seq":(\d+)/g)) heard.get(Number(seq))?.push(performance.now());
      });
      request.removeListener('error', reject);
      request.on('error', () => undefined);
      resolve(request);
    });
  });
}

async function fanOut(world, a, heard, count) {
  const admin = await world.admin(a);
  const listener = new pg.Client({ connectionString: world.postgres.url });
  await listener.connect();
  await listener.query(`listen ${PRODUCT.revocationsChannel}`);
  const times = [];
  const known = await world.database.query('select coalesce(max(seq), 0)::int as seq from revocations');
  let [{ seq }] = known.rows;
  for (const { id } of await world.sessions(count)) {
    const arrivals = [];
    heard.set(++seq, arrivals);
    const committed = new Promise((done) => listener.once('notification', () => done(performance.now())));
    await a.http.request('DELETE', `/v1/admin/sessions/${id}`, { token: admin });
    const at = await committed;
    for (let tries = 0; arrivals.length < FOLLOWERS && tries < 1_000; tries++) await sleep(2);
    if (arrivals.length < FOLLOWERS) throw new Error(`${arrivals.length} of ${FOLLOWERS} followers heard`);
    times.push(arrivals.map((arrival) => Math.max(0, arrival - at)));
  }
  await listener.end();
  return times;
}
