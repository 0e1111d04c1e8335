import { expect, jest } from '@jest/globals';
import { CachePort } from '../../src/platform/cache/cache-port.js';
import type { RedisCache } from '../../src/platform/cache/redis-cache.js';
import type { RedisServers } from '../../src/platform/cache/redis-servers.js';
import { SessionReader } from '../../src/sessions/check/session-reader.js';
import type { TestApp } from './app.js';
import { sessionTier, type Person } from './test-users.js';
import { eventually } from './waiting.js';
import { PRODUCT } from '../../src/product.js';

/** The key of a session in Redis. */
export const redisKeyOf = (session: { id: string }) => `${PRODUCT.redisPrefix}session:${session.id}`;

export const serversOf = (app: TestApp): RedisServers => (app.get(CachePort) as RedisCache).servers;

/** The result of an instance's session check, and the store that answered. */
export async function judged(app: TestApp, person: Person): Promise<`${string}, says ${Judge}`> {
  const reads = jest.spyOn(app.get(SessionReader), 'readMany');
  const before = reads.mock.calls.length;
  const outcome = await sessionTier(app, person);
  return `${outcome}, says ${reads.mock.calls.length > before ? 'PostgreSQL' : 'the cache'}`;
}
type Judge = 'PostgreSQL' | 'the cache';

/** Waits until an instance answers from the cache alone. */
export async function untilCached(app: TestApp, person: Person): Promise<void> {
  await eventually(async () => expect(await judged(app, person)).toBe('live, says the cache'));
}

/** Waits until every server that an instance needs is up. */
export async function untilThere(...apps: TestApp[]): Promise<void> {
  await Promise.all(apps.map((app) => eventually(() => app.get(CachePort).ping())));
}

/** An end whose tombstone is lost with the server that acknowledged it, before a replica had it. */
export async function endUnheard(app: TestApp, { id }: Person): Promise<void> {
  await app.query(
    `update sessions set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
    [id],
  );
}

/** Stops all discovery of an instance, except by answers, until mocks are restored. */
export function keepFromLooking(app: TestApp): void {
  const servers = serversOf(app);
  jest.spyOn(servers, 'refresh').mockResolvedValue();
  for (const node of servers.masters) jest.spyOn(node!, 'identify').mockResolvedValue();
}
