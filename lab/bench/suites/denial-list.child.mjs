/** In a process of its own, so that its heap has only the list: kind and size in, JSON out. */
import { randomUUID } from 'node:crypto';
import { DenialList } from '../../../dist/sessions/revocation/denial-list.js';
import { random } from '../../../dist/platform/runtime/random.js';

const [kind, size] = [process.argv[2], Number(process.argv[3])];
const now = Date.now();
const list = new DenialList();

global.gc();
const before = process.memoryUsage().heapUsed;
let sample;
for (let count = 0; count < size; count++) {
  // Through JSON, as the feed delivers them: the heap stores them differently from newly created ones.
  const subject = JSON.parse(JSON.stringify(kind === 'session' ? random.uuidAt(now) : randomUUID()));
  sample ??= subject;
  list.apply({
    seq: count,
    kind,
    subjects: [subject],
    tokenId: null,
    reason: 'admin',
    notBefore: kind === 'user' ? now : null,
    createdAt: now,
    expiresAt: now + 960_000,
  });
}
global.gc();
const bytes = (process.memoryUsage().heapUsed - before) / size;

const LOOKUPS = 1_000_000;
const callers = Array.from({ length: 1_000 }, () => ({
  sessionId: random.uuidAt(now),
  userId: randomUUID(),
}));
callers[0] = kind === 'session' ? { ...callers[0], sessionId: sample } : { ...callers[0], userId: sample };
const lookups = [];
for (let round = 0; round < 7; round++) {
  const startedAt = performance.now();
  for (let count = 0; count < LOOKUPS; count++) list.endOf(callers[count % callers.length]);
  lookups.push(((performance.now() - startedAt) * 1e6) / LOOKUPS);
}
if (!list.endOf(callers[0])) throw new Error('the list does not refuse its entries');
console.log(JSON.stringify({ bytes, lookups: lookups.slice(2), entries: list.size }));
