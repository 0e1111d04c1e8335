import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Also gives back the room for new objects that a start has grown; Node 20 knows no such word, and keeps it. */
const THOROUGHLY = { type: 'major', flavor: 'last-resort' };

/**
 * Starting compiles and parses far more than serving keeps. V8 gives such memory back only when two full collections in a
 * row have found it free, which an idle process may never get to: it would hold some 60 MB for nothing.
 */
export function settleHeap(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (how: object) => void;
  // With no tick waiting, the collections take what V8 has learned of how ticks are made, and it does not learn it again:
  // each request would cost 8 % more for as long as the process lives.
  process.nextTick(() => undefined);
  collect(THOROUGHLY);
  collect(THOROUGHLY);
}
