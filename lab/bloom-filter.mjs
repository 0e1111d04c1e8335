/**
 * Measures the three ways to know revoked tokens at a service, for `docs/explanation/bloom-filter.md`: the exact list of the
 * verifier, a Bloom filter with a look-up in Redis after each hit, and a look-up in Redis for each request. It needs
 * `redis-server` on PATH, and builds of the server and of the verifier: `node --expose-gc lab/bloom-filter.mjs`.
 */
import { randomUUID } from 'node:crypto';
import { createClient } from 'redis';
import { startRedis } from '../test/support/services.mjs';
import { DenialList } from '../packages/verifier/dist/denial-list.js';

const SIZES = [10_000, 100_000, 1_000_000, 3_000_000];
const FALSE_POSITIVES = 0.01;
const LOOKUPS = 200_000;
const NOW = Date.now();

/** A session id as the application makes it. */
const sessionId = () => {
  const time = NOW.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
};

/** B. H. Bloom 1970, with two hashes for all (Kirsch and Mitzenmacher 2006). */
class BloomFilter {
  constructor(count, falsePositives) {
    this.bits = Math.ceil((-count * Math.log(falsePositives)) / Math.LN2 ** 2);
    this.hashes = Math.round((this.bits / count) * Math.LN2);
    this.bytes = new Uint8Array(Math.ceil(this.bits / 8));
  }

  add(text) {
    this.hash(text);
    for (let index = 0; index < this.hashes; index++) {
      const bit = this.place(index);
      this.bytes[bit >> 3] |= 1 << (bit & 7);
    }
  }

  has(text) {
    this.hash(text);
    for (let index = 0; index < this.hashes; index++) {
      const bit = this.place(index);
      if ((this.bytes[bit >> 3] & (1 << (bit & 7))) === 0) return false;
    }
    return true;
  }

  place(index) {
    return (this.first + index * this.second) % this.bits;
  }

  /** FNV-1a, twice with different starts, each with the last steps of MurmurHash3: as fast as a filter in JavaScript gets. */
  hash(text) {
    let [first, second] = [0x811c9dc5, 0x01000193];
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      first = Math.imul(first ^ code, 0x01000193);
      second = Math.imul(second ^ code, 0x85ebca6b);
    }
    this.first = mixed(first);
    this.second = (mixed(second) | 1) >>> 0;
  }
}

function mixed(hash) {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const used = () => {
  global.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

function microseconds(work, count) {
  const startedAt = performance.now();
  work(count);
  return ((performance.now() - startedAt) * 1_000) / count;
}

const probes = Array.from({ length: 100_000 }, () => ({ sessionId: sessionId(), userId: randomUUID() }));

function measure(name, size, make) {
  const before = used();
  const { add, has, bytes } = make(size);
  // Through JSON, as a feed delivers them.
  for (let count = 0; count < size; count++) add(JSON.parse(JSON.stringify(sessionId())));
  const megabytes = (bytes ?? used() - before) / 1e6;
  let hits = 0;
  const look = (count) => {
    for (let index = 0; index < count; index++) if (has(probes[index % probes.length])) hits++;
  };
  look(LOOKUPS); // warm
  hits = 0;
  const each = microseconds(look, LOOKUPS);
  console.log(
    `${name} | ${size.toLocaleString('en')} | ${megabytes.toFixed(1)} MB | ${(hits / LOOKUPS).toFixed(4)} | ${each.toFixed(2)} µs`,
  );
}

const list = () => {
  const denials = new DenialList();
  const add = (subject) =>
    denials.add({
      seq: 1,
      kind: 'session',
      subjects: [subject],
      reason: 'admin',
      notBefore: null,
      createdAt: NOW,
      expiresAt: NOW + 960_000,
    });
  return { add, has: (caller) => denials.endOf(caller) !== null };
};
const filter = (size) => {
  const bloom = new BloomFilter(size, FALSE_POSITIVES);
  return {
    add: (subject) => bloom.add(subject),
    has: (caller) => bloom.has(caller.sessionId),
    bytes: bloom.bytes.length,
  };
};

console.log('way | live denials | memory | false hits | look-up');
for (const size of SIZES) {
  measure('exact list', size, list);
  measure('Bloom filter', size, filter);
}

const server = await startRedis();
const redis = createClient({ url: server.url });
await redis.connect();
const size = 1_000_000;
const info = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))[1]);
const empty = await info();
for (let done = 0; done < size; done += 10_000)
  await Promise.all(
    Array.from({ length: 10_000 }, () => redis.set(`denied:${sessionId()}`, 'admin', { EX: 960 })),
  );
const memory = ((await info()) - empty) / 1e6;
const delays = [];
for (let count = 0; count < 5_000; count++) {
  const startedAt = performance.now();
  await redis.get(`denied:${probes[count].sessionId}`);
  delays.push(performance.now() - startedAt);
}
delays.sort((a, b) => a - b);
const before = process.cpuUsage();
for (let done = 0; done < 100_000; done += 100)
  await Promise.all(
    Array.from({ length: 100 }, (_, index) => redis.get(`denied:${probes[done + index].sessionId}`)),
  );
const { user, system } = process.cpuUsage(before);
const [p50, p99] = [0.5, 0.99].map((share) => delays[Math.floor(delays.length * share)].toFixed(2));
console.log(
  `look-up in Redis | ${size.toLocaleString('en')} | ${memory.toFixed(1)} MB in Redis | 0 | alone p50 ${p50} ms, p99 ${p99} ms; ${((user + system) / 100_000).toFixed(1)} µs CPU of the service, 100 at once`,
);
redis.destroy();
await server.stop();
