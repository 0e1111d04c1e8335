import { expect, test } from '@jest/globals';
import { refreshesSurvived } from '../../test/support/theft-bound.js';
import { rotate } from './rotation.js';

// Real: rotation.ts. Modelled: owner, thief and time, in steps of a third of the grace, exhaustively.

const GRACE = 3;

const bounds: [string, number, [landings: number, survived: number][]][] = [
  [
    'three graces apart',
    3 * GRACE,
    [
      [0, 1],
      [1, 2],
      [2, 3],
    ],
  ],
  [
    'more than one grace apart',
    GRACE + 1,
    [
      [0, 1],
      [1, 3],
    ],
  ],
];

test.each(bounds)(
  'a thief with the whole jar survives exactly as many refreshes of the owner, %s, as decision 5 says',
  (_, pace, expected) => {
    const survived = expected.map(([landings, most]) => [
      landings,
      refreshesSurvived(rotate, { pace, landings, limit: most + 1 }),
    ]);
    expect(survived).toEqual(expected);
  },
);
