import { LIVE } from '../../src/sessions/check/session-cache.codec.js';

/** The cache entry of a live session. */
export const LIVE_ENTRY = new RegExp(`^\\[${LIVE},`);

/** A group of tests that needs Redis servers of its own; skipped if they could not be started. */
export function describeWithOwnRedis(servers: unknown, name: string, fn: () => void): void {
  if (servers) describe(name, fn);
  else describe.skip(`${name} (there is no redis-server or valkey-server on PATH)`, fn);
}

/** A group of tests that needs a Redis; the reporter lists them, and CI fails, when there is none. */
export function describeWithRedis(name: string, fn: () => void): void {
  if (process.env['TEST_REDIS_URL']) describe(name, fn);
  else describe.skip(`${name} (${process.env['DRAWBRIDGE_TEST_REDIS_ORIGIN']})`, fn);
}
