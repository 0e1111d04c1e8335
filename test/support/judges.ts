import { expect, jest } from '@jest/globals';
import { CachePort } from '../../src/cache/cache-port.js';
import type { RedisCache } from '../../src/cache/redis-cache.js';
import type { RedisServers } from '../../src/cache/redis-servers.js';
import { SessionReader } from '../../src/sessions/session-reader.js';
import type { TestApp } from './app.js';
import { sessionTier, type Person } from './people.js';
import { eventually } from './waiting.js';

/** What a session is called in Redis. */
export const redisKeyOf = (session: { id: string }) => `drawbridge:session:${session.id}`;

export const serversOf = (app: TestApp): RedisServers => (app.get(CachePort) as RedisCache).servers;

/** What an instance says of a session, and who told it so. */
export async function judged(app: TestApp, person: Person): Promise<`${string}, says ${Judge}`> {
  const reads = jest.spyOn(app.get(SessionReader), 'readMany');
  const before = reads.mock.calls.length;
  const outcome = await sessionTier(app, person);
  return `${outcome}, says ${reads.mock.calls.length > before ? 'PostgreSQL' : 'the cache'}`;
}
type Judge = 'PostgreSQL' | 'the cache';

/** Until an instance has an answer from the cache alone. */
export async function untilCached(app: TestApp, person: Person): Promise<void> {
  await eventually(async () => expect(await judged(app, person)).toBe('live, says the cache'));
}

/** Until every server that an instance needs is there. */
export async function untilThere(...apps: TestApp[]): Promise<void> {
  await Promise.all(apps.map((app) => eventually(() => app.get(CachePort).ping())));
}

/** An end whose tombstone is lost: with the server that had acknowledged it, before a replica had it. */
export async function endUnheard(app: TestApp, { id }: Person): Promise<void> {
  await app.query(
    `update sessions set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
    [id],
  );
}

/** Nothing that an instance has not been told by an answer does it find out by itself, until mocks are restored. */
export function keepFromLooking(app: TestApp): void {
  const servers = serversOf(app);
  jest.spyOn(servers, 'refresh').mockResolvedValue();
  for (const node of servers.masters) jest.spyOn(node!, 'greet').mockResolvedValue();
}
