import { describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { RefreshPosition } from '../../src/sessions/refresh/rotation.js';
import { compare } from '../rotation-strategies/comparison.js';
import { logoutsTable, pageOf, theftsTable } from '../rotation-strategies/page.js';
import type { KeyProof } from '../../src/sessions/binding/session-binding.js';
import { BOUND_COOKIE, LOGIN, STRATEGIES, type Strategy } from '../rotation-strategies/strategies.js';
import { GRACE } from '../rotation-strategies/trials.js';

/**
 * Real: `rotate`, and the strategies that it is compared with. Modelled: clients, thieves, the network, time.
 * Another fast-check may generate other schedules from a seed: then `npm run compare:refresh` writes the page anew.
 */

const PAGE = resolve('docs/evidence/refresh-strategies.md');
const COMMITTED = { seed: 20_261_121, count: 10_000 };
const { COMPARE, SEED, SCHEDULES } = process.env;

it('the page of the comparison matches the output of its command', () => {
  const run = COMPARE === 'print' ? { seed: Number(SEED), count: Number(SCHEDULES) } : COMMITTED;
  const comparison = compare(run);
  if (COMPARE === 'print') return console.log(`${logoutsTable(comparison)}\n\n${theftsTable(comparison)}`);
  if (COMPARE === 'write') writeFileSync(PAGE, pageOf(run, comparison));
  expect(readFileSync(PAGE, 'utf8')).toBe(pageOf(run, comparison));
});

describe('the conclusions of the page hold for other seeds as well', () => {
  const count = 2_000;
  const { logouts, thefts } = compare({ seed: 7, count });

  it('within the bounds of R2 Drawbridge logs no honest client out, and each of the others logs some out', () => {
    const { atOnce, oneTab, anything } = logouts;
    for (const { drawbridge } of [atOnce, oneTab, anything]) expect(drawbridge).toBe(0);
    expect(atOnce.singleUse).toBeGreaterThan(0);
    expect(oneTab.graceWindow).toBeGreaterThan(0);
    expect(anything.parentUntilChild).toBeGreaterThan(0);
  });

  it('out of bounds Drawbridge logs fewer clients out than any of the others', () => {
    const { drawbridge, bound: _, ...others } = logouts.slow;
    for (const other of Object.values(others)) expect(drawbridge).toBeLessThan(other);
  });

  it('a request that one tab aborted logs no client out under Drawbridge, and some under each of the others', () => {
    const { drawbridge, bound: _, ...others } = logouts.delayedOneTab;
    expect(drawbridge).toBe(0);
    for (const other of Object.values(others)) expect(other).toBeGreaterThan(0);
    expect(logouts.delayed.drawbridge).toBeLessThanOrEqual(1);
  });

  it('a thief with the whole jar who comes close to every second refresh is refused at the first try', () => {
    expect(thefts.jarEverySecondTime.drawbridge).toMatchObject({ undetected: 0, worst: 0 });
  });

  it('without a device token Drawbridge is strict single use, for owners and for thieves', () => {
    expect(logouts.deviceless.drawbridge).toBe(logouts.deviceless.singleUse);
    for (const { drawbridge, singleUse } of [thefts.tokenAnyTime, thefts.tokenClose])
      expect(drawbridge).toEqual(singleUse);
    expect(thefts.tokenClose.drawbridge.undetected).toBe(0);
    expect(thefts.tokenClose.graceWindow.undetected).toBe(count);
  });

  it('a thief with the whole jar who keeps apart loses access after two refreshes of the owner (R3); strict single use needs one', () => {
    expect(thefts.jarApart.drawbridge).toMatchObject({ undetected: 0, worst: 2 });
    expect(thefts.jarApart.parentUntilChild).toMatchObject({ undetected: 0, worst: 2 });
    expect(thefts.jarApart.singleUse).toMatchObject({ undetected: 0, worst: 1 });
  });

  it('a thief who keeps close is never detected; strict single use and "parent until child" detect them', () => {
    const { singleUse, graceWindow, parentUntilChild, drawbridge } = thefts.jarClose;
    for (const { undetected } of [drawbridge, graceWindow]) expect(undetected).toBe(count);
    for (const { undetected } of [singleUse, parentUntilChild]) expect(undetected).toBe(0);
    expect(thefts.jarAnyTime.drawbridge.undetected).toBeGreaterThan(0);
    expect(thefts.jarAnyTime.parentUntilChild.undetected).toBe(0);
  });

  it('a bound client is never logged out, also out of the bounds of R2 and without a device token (R4)', () => {
    for (const { bound } of Object.values(logouts)) expect(bound).toBe(0);
  });

  it('a copy of a bound session is refused at the latest when its bound cookie expires, however it is timed (R4)', () => {
    for (const { bound } of Object.values(thefts)) expect(bound.undetected).toBe(0);
    for (const { bound } of [
      thefts.jarClose,
      thefts.jarEverySecondTime,
      thefts.tokenClose,
      thefts.tokenAnyTime,
    ])
      expect(bound.worst).toBe(0);
  });
});

describe('each compared strategy follows its definition:', () => {
  /** Presents tokens at given times; each is named by the order of its issue. */
  const outcomes = (strategy: Strategy, ...uses: [at: number, token: number, keyProof?: KeyProof][]) => {
    let state: unknown = strategy.initial();
    const issued: RefreshPosition[] = [LOGIN];
    return uses.map(([now, token, keyProof = null]) => {
      const moment = { now, grace: GRACE, proof: true, keyProof };
      const rotation = strategy.rotate(state, issued[token]!, moment);
      state = rotation.state;
      const { decision } = rotation;
      if (decision.outcome !== 'issue') return decision.outcome;
      const known = issued.findIndex(
        ({ generation, sibling }) =>
          generation === decision.token.generation && sibling === decision.token.sibling,
      );
      return known >= 0 ? known : issued.push(decision.token) - 1;
    });
  };

  it('strict single use: a token works once', () => {
    const { singleUse } = STRATEGIES;
    expect(outcomes(singleUse, [0, 0], [0, 1], [0, 2])).toEqual([1, 2, 3]);
    expect(outcomes(singleUse, [0, 0], [0, 0])).toEqual([1, 'reuse']);
  });

  it('grace window: for a grace after its use a token is answered with the newest', () => {
    const { graceWindow } = STRATEGIES;
    expect(outcomes(graceWindow, [0, 0], [5, 1], [GRACE, 0])).toEqual([1, 2, 2]);
    expect(outcomes(graceWindow, [0, 0], [GRACE + 1, 0])).toEqual([1, 'reuse']);
    expect(outcomes(graceWindow, [0, 0], [GRACE, 0], [GRACE + 1, 0])).toEqual([1, 1, 'reuse']);
  });

  it('parent until child: after the first use of a child, its parent and the other children are void', () => {
    const { parentUntilChild } = STRATEGIES;
    expect(outcomes(parentUntilChild, [0, 0], [GRACE * 9, 0], [GRACE * 9, 2])).toEqual([1, 2, 3]);
    expect(outcomes(parentUntilChild, [0, 0], [0, 0], [0, 2], [0, 1])).toEqual([1, 2, 3, 'reuse']);
    expect(outcomes(parentUntilChild, [0, 0], [0, 1], [0, 0])).toEqual([1, 2, 'reuse']);
  });

  it('bound client: without the key of the device every token is refused, and nothing changes', () => {
    const { bound } = STRATEGIES;
    const other = { ...BOUND_COOKIE, version: 2 };
    expect(
      outcomes(
        bound,
        [0, 0],
        [0, 0, other],
        [0, 0, BOUND_COOKIE],
        [GRACE * 9, 0],
        [GRACE * 9, 1, BOUND_COOKIE],
      ),
    ).toEqual(['unproven', 'unproven', 1, 'unproven', 2]);
  });
});
