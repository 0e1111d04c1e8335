import {
  initialRotation,
  type rotate,
  type RefreshPosition,
  type RotationState,
} from '../../src/sessions/refresh/rotation.js';

/**
 * All possible moves of an owner and a thief with the whole cookie jar, in steps of a third of the grace. The
 * owner's refreshes are at least `pace` steps apart. At each step the thief may present any token that they ever
 * had, as often as they like. A landing is a refresh of the owner that the thief comes within a grace of, before it
 * or after.
 */

const GRACE = 3;
/** Every window in which `rotate` issues a token is shorter. */
const LONG_AGO = 10;

interface Position {
  state: RotationState;
  owner: RefreshPosition;
  thief: RefreshPosition[];
  /** The time of the position is 0. */
  sinceOwner: number;
  sinceThief: number;
  hasLanded: boolean;
}

type Landings = number;

/**
 * The number of refreshes of the owner that a thief can survive with at most so many landings: after the last one,
 * and more than a grace from it, the thief still gets a token. Counted to `limit`.
 */
export function refreshesSurvived(
  decide: typeof rotate,
  { pace, landings, limit }: { pace: number; landings: Landings; limit: number },
): number {
  const refresh = (state: RotationState, token: RefreshPosition) =>
    decide(state, token, { proof: true, now: 0, grace: GRACE });
  let survived = 0;
  let positions = new Positions();
  positions.add({ ...START, thief: [START.owner] }, 0);
  for (let refreshes = 0; refreshes <= limit && positions.size > 0; refreshes++) {
    const next = new Positions();
    for (const [position, count] of positions) {
      const { state, owner, thief, sinceOwner, sinceThief, hasLanded } = position;
      const isNear = refreshes > 0 && sinceOwner <= GRACE;
      positions.add(later(position), count);
      for (const token of thief) {
        const { state: after, decision } = refresh(state, token);
        if (decision.outcome !== 'issue') continue;
        if (refreshes > 0 && !isNear) survived = refreshes;
        const total = count + (isNear && !hasLanded ? 1 : 0);
        if (total > landings) continue;
        const loot = [...thief, decision.token];
        const landed = hasLanded || isNear;
        positions.add({ ...position, state: after, thief: loot, sinceThief: 0, hasLanded: landed }, total);
      }
      if (sinceOwner < pace) continue;
      const { state: after, decision } = refresh(state, owner);
      if (decision.outcome !== 'issue') continue;
      const landed = sinceThief <= GRACE;
      const total = count + (landed ? 1 : 0);
      if (total > landings) continue;
      next.add(
        { state: after, owner: decision.token, thief, sinceOwner: 0, sinceThief, hasLanded: landed },
        total,
      );
    }
    positions = next;
  }
  return survived;
}

const START: Position = {
  state: { ...initialRotation(), anchor: { first: 0, last: 0, mintedAt: -LONG_AGO } },
  owner: { generation: 1, sibling: 0 },
  thief: [],
  sinceOwner: LONG_AGO,
  sinceThief: LONG_AGO,
  hasLanded: false,
};

const older = (at: number) => Math.max(at - 1, -LONG_AGO);

function later(position: Position): Position {
  const { state, sinceOwner, sinceThief } = position;
  const { anchor, older: before, newest, leftAt } = state;
  return {
    ...position,
    state: {
      ...state,
      anchor: { ...anchor, mintedAt: older(anchor.mintedAt) },
      leftAt: leftAt === null ? null : older(leftAt),
      older: before && { ...before, mintedAt: older(before.mintedAt) },
      newest: newest && { ...newest, mintedAt: older(newest.mintedAt) },
    },
    sinceOwner: Math.min(sinceOwner + 1, LONG_AGO),
    sinceThief: Math.min(sinceThief + 1, GRACE + 1),
  };
}

/** Each with the fewest landings that lead to it. The iteration includes positions that are added meanwhile. */
class Positions {
  private readonly fewest = new Map<string, Landings>();
  private readonly waiting: [Position, Landings][] = [];

  get size(): number {
    return this.waiting.length;
  }

  add(position: Position, landings: Landings): void {
    const simple = simplified(position);
    const key = keyOf(simple);
    if ((this.fewest.get(key) ?? Infinity) <= landings) return;
    this.fewest.set(key, landings);
    this.waiting.push([simple, landings]);
  }

  *[Symbol.iterator](): Generator<[Position, Landings]> {
    for (let next = this.waiting.pop(); next; next = this.waiting.pop()) yield next;
  }
}

/**
 * Tokens of equal standing are one token, and tokens that can never be answered again are dropped. Siblings of the
 * anchor's successors, in this order: issued before the two last steps, the thief's and the owner's; the older
 * step; the newest step, and its last token.
 */
const [BEFORE, OWNERS_BEFORE, OLDER, NEWEST, LAST] = [1, 2, 3, 4, 5] as const;

function simplified(position: Position): Position {
  const { state, owner, thief } = position;
  const { generation, anchor, recent, newest, older: before } = state;
  const standing = ({ generation: of, sibling }: RefreshPosition): RefreshPosition | null => {
    if (of === generation + 1 && newest) {
      const isOwners = of === owner.generation && sibling === owner.sibling;
      const next = (as: number) => ({ generation: 2, sibling: as });
      if (sibling === newest.last) return next(LAST);
      if (sibling >= newest.first) return next(NEWEST);
      if (before && sibling >= before.first && sibling <= before.last) return next(OLDER);
      return next(isOwners ? OWNERS_BEFORE : BEFORE);
    }
    const [step, as] = of === generation ? [anchor, 1] : [of === generation - 1 ? recent : null, 0];
    const isIn = step !== null && step.first <= sibling && sibling <= step.last;
    return isIn ? { generation: as, sibling: 1 } : null;
  };
  const loot = new Map(thief.map(standing).flatMap((token) => (token ? [[keyOfToken(token), token]] : [])));
  const as = (step: { mintedAt: number }, first: number, last = first) => ({
    first,
    last,
    mintedAt: step.mintedAt,
  });
  return {
    ...position,
    state: {
      ...state,
      generation: 1,
      anchor: as(anchor, 1),
      recent: recent && as({ mintedAt: -LONG_AGO }, 1),
      older: before && as(before, OLDER),
      newest: newest && as(newest, NEWEST, LAST),
    },
    owner: standing(owner) ?? { generation: -1, sibling: 0 },
    thief: [...loot.keys()].sort().map((key) => loot.get(key)!),
  };
}

const keyOfToken = ({ generation, sibling }: RefreshPosition): string => `${generation}.${sibling}`;

const keyOf = ({ state, owner, thief, sinceOwner, sinceThief, hasLanded }: Position): string =>
  [
    state.anchor.mintedAt,
    state.leftAt,
    state.recent === null,
    state.older?.mintedAt,
    state.newest?.mintedAt,
    state.proven,
    keyOfToken(owner),
    ...thief.map(keyOfToken),
    sinceOwner,
    sinceThief,
    hasLanded,
  ].join();
