import { keyIdOf, type Keys } from './key-format.js';
import type { KeyKind } from './key-rotation.js';
import { inUse, isGood, startOf, type Term } from './key-schedule.js';

/** The role of each key at an instant, by name: for logs and operators. */
export interface KeyStage {
  kind: KeyKind;
  name: string;
  /** `next` waits for its start, `current` signs, mints or encrypts, `former` only verifies or decrypts. */
  stage: 'next' | 'current' | 'former';
  term: Term;
}

/** The stages of all keys that are valid at `now` (ms since the epoch). */
export function stagesOf({ signing, refreshSecrets, encryption }: Keys, now: number): KeyStage[] {
  return [
    ...stages('signing', signing, ({ kid }) => kid, { now, current: inUse(signing, now) }),
    ...stages('refresh', refreshSecrets, ({ secret }) => keyIdOf(secret), {
      now,
      current: inUse(refreshSecrets, now),
    }),
    ...stages('encryption', encryption, ({ id }) => id, { now, current: inUse(encryption, now) }),
  ];
}

function stages<T extends Term>(
  kind: KeyStage['kind'],
  terms: readonly T[],
  name: (term: T) => string,
  { now, current }: { now: number; current: T },
): KeyStage[] {
  return terms
    .filter((term) => isGood(term, now))
    .map((term) => ({
      kind,
      name: name(term),
      stage: term === current ? 'current' : startOf(term) > now ? 'next' : 'former',
      term,
    }));
}
