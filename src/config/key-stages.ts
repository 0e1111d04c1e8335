import { nameOf, type Keys } from './key-format.js';
import { inUse, isGood, startOf, type Term } from './key-schedule.js';

/** What each key is for at an instant, by name: for logs and people. */
export interface KeyStage {
  kind: 'signing' | 'refresh';
  name: string;
  /** `next` waits for its turn, `current` signs or mints, `former` only verifies. */
  stage: 'next' | 'current' | 'former';
  term: Term;
}

export function stagesOf({ signing, refreshSecrets }: Keys, now: number): KeyStage[] {
  return [
    ...stages('signing', signing, ({ kid }) => kid, now),
    ...stages('refresh', refreshSecrets, ({ secret }) => nameOf(secret), now),
  ];
}

function stages<T extends Term>(
  kind: KeyStage['kind'],
  terms: readonly T[],
  name: (term: T) => string,
  now: number,
): KeyStage[] {
  const current = inUse(terms, now);
  return terms
    .filter((term) => isGood(term, now))
    .map((term) => ({
      kind,
      name: name(term),
      stage: term === current ? 'current' : startOf(term) > now ? 'next' : 'former',
      term,
    }));
}
