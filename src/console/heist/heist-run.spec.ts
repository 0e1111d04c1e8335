import { describe, expect, it } from '@jest/globals';
import type { Act } from './acts.js';
import { caughtSince, resultOf, type HeistRun, type RecordedRequest, type ThiefUse } from './heist-run.js';
import { otherSite } from './heist-runs.service.js';
import { parseLoot } from './heist.schemas.js';

const runOf = (act: Act, found: Partial<HeistRun> = {}): HeistRun => ({
  id: '00000000-0000-4000-8000-000000000000',
  act,
  victim: 'alice@example.com',
  victimOrigin: 'http://localhost:3000',
  thiefOrigin: 'http://127.0.0.1:3000',
  contentSecurityPolicy: false,
  loot: null,
  attempts: null,
  uses: [],
  requests: [],
  violations: [],
  ...found,
});
const use = (status: number, reason: string | null = null) => ({ status, reason }) as ThiefUse;
const request = (as: string, status: number, method = 'POST', reason: string | null = null) =>
  ({ as, status, method, reason }) as RecordedRequest;

describe('the result of a run', () => {
  it.each([1, 2, 3, 4] as const)('of act %i is open before anything has happened', (act) => {
    expect(resultOf(runOf(act))).toBeNull();
  });

  it('is `stolen` if the thief got in with the loot, also after a later use was refused', () => {
    expect(resultOf(runOf(1, { uses: [use(200), use(401)] }))).toBe('stolen');
    expect(resultOf(runOf(2, { uses: [use(200)] }))).toBe('stolen');
  });

  it('is `nothing` if the server refused the loot', () => {
    expect(resultOf(runOf(2, { uses: [use(401)] }))).toBe('nothing');
  });

  it('is `blocked` if the browser ran no script, and so the thief got no loot', () => {
    const violations = [{ directive: 'script-src-attr', blocked: 'inline' }];
    expect(resultOf(runOf(2, { violations }))).toBe('blocked');
    expect(resultOf(runOf(2, { violations, uses: [use(200)] }))).toBe('stolen');
  });

  it('is `refused` only when the server has answered every attempt of the other site', () => {
    const attempts = ['form-login', 'fetch-login'];
    const refused = [request('form-login', 415), request('fetch-login', 405, 'OPTIONS')];
    expect(resultOf(runOf(3, { requests: refused }))).toBeNull();
    expect(resultOf(runOf(3, { attempts, requests: refused.slice(1) }))).toBeNull();
    expect(resultOf(runOf(3, { attempts, requests: refused }))).toBe('refused');
  });

  it('is `accepted` if one attempt of the other site succeeded; a preflight and the owner do not count', () => {
    const attempts = ['fetch-login'];
    const preflight = request('fetch-login', 204, 'OPTIONS');
    expect(resultOf(runOf(3, { attempts, requests: [preflight, request('owner', 200)] }))).toBe('refused');
    expect(resultOf(runOf(3, { attempts, requests: [preflight, request('fetch-login', 200)] }))).toBe(
      'accepted',
    );
  });

  it('is `caught` when the second refresh ended the session, whichever side sent it', () => {
    expect(resultOf(runOf(4, { uses: [use(401, 'refresh_reuse')] }))).toBe('caught');
    const requests = [request('owner', 401, 'POST', 'refresh_reuse')];
    expect(resultOf(runOf(4, { uses: [use(200)], requests }))).toBe('caught');
  });

  it('is `missed` while only the thief has refreshed', () => {
    expect(resultOf(runOf(4, { uses: [use(200)] }))).toBe('missed');
  });
});

describe('the search for the mail to the owner', () => {
  const at = '2026-01-01T00:00:00.000Z';
  const reuse = (endedAt: string) => ({ ...use(401, 'refresh_reuse'), at, endedAt });

  it('begins with the request of the thief, because its transaction may take long', () => {
    const slow = reuse('2026-01-01T00:00:05.000Z');
    expect(caughtSince(runOf(4, { uses: [slow] }))).toBe(Date.parse(at));
  });

  it('begins with the end of the session if that was before the request', () => {
    const endedAt = '2025-12-31T23:59:59.000Z';
    expect(caughtSince(runOf(4, { uses: [reuse(endedAt)] }))).toBe(Date.parse(endedAt));
  });

  it('does not begin before a reuse', () => {
    expect(caughtSince(runOf(4, { uses: [use(200), use(401, 'logout')] }))).toBeNull();
  });
});

describe('the site of the thief', () => {
  it('has the other name of this machine, with the same port', () => {
    expect(otherSite('localhost:3000')).toBe('http://127.0.0.1:3000');
    expect(otherSite('127.0.0.1:3000')).toBe('http://localhost:3000');
    expect(otherSite('localhost')).toBe('http://127.0.0.1');
  });

  it('does not exist for a host that has no other name', () => {
    expect(() => otherSite('app.example.com')).toThrow('request.invalid');
  });
});

describe('the loot', () => {
  const tokens = { accessToken: 'a.b.c', refreshToken: 'r' };
  const loot = { session: JSON.stringify(tokens), storedKeys: ['session'], cookies: 'theme=dark' };

  it('has the tokens that the page stored', () => {
    expect(parseLoot(JSON.stringify(loot))).toEqual({ ...loot, session: tokens });
  });

  it('is refused if it is not what the injected script sends', () => {
    for (const text of [
      '',
      '{',
      '1',
      'null',
      JSON.stringify({ ...loot, cookies: 'a=b\r\nhost: other.example' }),
    ])
      expect(parseLoot(text)).toBeNull();
  });

  it('has no session if the stored item contains none', () => {
    for (const session of ['{', '1', 'null', '{}', JSON.stringify({ ...tokens, accessToken: 'a\r\nb' })])
      expect(parseLoot(JSON.stringify({ ...loot, session }))).toMatchObject({ session: null });
  });
});
