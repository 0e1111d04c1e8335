import { expect, test } from '@jest/globals';
import { refreshesSurvived } from '../../test/support/theft-bound.js';
import { rotate } from '../../src/sessions/refresh/rotation.js';

// Real: rotation.ts. Modelled, exhaustively: the owner, the thief and the time, in steps of a third of the grace
// period.

const GRACE = 3;

const bounds: [string, number, [landings: number, survived: number][]][] = [
  [
    'three grace periods apart',
    3 * GRACE,
    [
      [0, 1],
      [1, 2],
      [2, 3],
    ],
  ],
  [
    'more than one grace period apart',
    GRACE + 1,
    [
      [0, 1],
      [1, 3],
    ],
  ],
];

test.each(bounds)(
  'a thief with the whole jar survives exactly as many owner refreshes, %s, as decision 5 states',
  (_, pace, expected) => {
    const survived = expected.map(([landings, most]) => [
      landings,
      refreshesSurvived(rotate, { pace, landings, limit: most + 1 }),
    ]);
    expect(survived).toEqual(expected);
  },
);
