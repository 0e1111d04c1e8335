import { describe, expect, it } from '@jest/globals';
import { PROBLEMS } from '../../platform/api/problem.js';
import { fitted } from './instance-reports.js';
import { InstanceReport, MAX_FOLLOWERS } from './live.schemas.js';

/** Pure. PostgreSQL takes at most 7,999 bytes, and the message around a report has less than 100. */

const report = (name: string, codes: readonly string[]): InstanceReport => ({
  id: '00000000-0000-4000-8000-000000000000',
  name: 'host',
  startedAt: 1_700_000_000_000,
  isBlind: false,
  feedAgeMs: 1,
  connections: 1,
  followerCount: 80,
  followers: Array.from({ length: MAX_FOLLOWERS }, (_, index) => ({
    id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
    apiKeyId: '00000000-0000-7000-8000-000000000000',
    name,
  })),
  counters: {
    logins: 1,
    problems: Object.fromEntries(codes.map((code, index) => [code, index])),
    checks: { cache: 1, postgres: 1, unavailable: 0 },
  },
});
const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

describe('a report of an instance', () => {
  it('that fits is sent as it is', () => {
    const small = report('v', ['auth.forbidden', 'auth.session_ended']);
    small.followers.length = 5;
    expect(fitted(small)).toEqual(small);
  });

  it('names fewer followers if their names are long, and says how many there are', () => {
    const long = fitted(report('ü"'.repeat(50), PROBLEMS.names()));
    expect(bytesOf(long)).toBeLessThanOrEqual(7_800);
    expect(bytesOf(long)).toBeGreaterThan(7_000);
    expect(long.followers.length).toBeGreaterThan(10);
    expect(long.followers.length).toBeLessThan(MAX_FOLLOWERS);
    expect(long.followerCount).toBe(80);
    expect(Object.keys(long.counters.problems)).toHaveLength(PROBLEMS.names().length);
    expect(InstanceReport.parse(long)).toEqual(long);
  });

  it('has the most frequent problems if there are too many codes', () => {
    const codes = Array.from({ length: 1_000 }, (_, index) => `feature.code_${index}`);
    const { counters, followers } = fitted(report('v', codes));
    expect(followers).toEqual([]);
    expect(bytesOf({ counters })).toBeLessThanOrEqual(7_800);
    expect(Object.keys(counters.problems)).toContain('feature.code_999');
    expect(Object.keys(counters.problems)).not.toContain('feature.code_0');
  });
});
