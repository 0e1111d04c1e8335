import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * The flavor `last-resort` also shrinks the young generation that the start has grown. Node 20 does not know this
 * flavor and keeps it.
 */
const THOROUGHLY = { type: 'major', flavor: 'last-resort' };

/**
 * Collects garbage after the start, which compiles and parses far more than serving needs. V8 returns memory only
 * after two full collections in a row have found it free. An idle process may never reach that and would keep some 60
 * MB.
 */
export function releaseStartupHeap(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (how: object) => void;
  // A pending tick keeps V8's feedback about tick objects during the collections. Without one, V8 drops that feedback
  // and does not collect it again: each request would cost 8 % more for the life of the process.
  process.nextTick(() => undefined);
  collect(THOROUGHLY);
  collect(THOROUGHLY);
}
