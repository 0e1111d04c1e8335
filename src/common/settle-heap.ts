import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Starting compiles and parses far more than serving keeps. V8 gives such memory back only when two full collections in a
 * row have found it free, which an idle process may never get to: it would hold some 60 MB for nothing.
 */
export function settleHeap(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
}
