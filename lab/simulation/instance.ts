import type pg from 'pg';
import { pino } from 'pino';
import { CachePort, CacheUnavailable } from '../../src/platform/cache/cache-port.js';
import { AlignedClock } from '../../src/platform/runtime/clock.js';
import { loadSettings } from '../../src/platform/settings/load-settings.js';
import { DenialList } from '../../src/sessions/revocation/denial-list.js';
import type { KeyDelivery } from '../../src/sessions/refresh/key-delivery.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { SessionCheck } from '../../src/sessions/check/session-check.js';
import type { SessionReader } from '../../src/sessions/check/session-reader.js';
import { SessionCache } from '../../src/sessions/check/session-cache.js';
import type { Network, VirtualClock } from './network.js';
import type { SimulatedPostgres, SimulatedRedis } from './stores.js';

// The delays of the code itself are real timers, long enough never to end within a schedule.
export const SETTINGS = loadSettings({ NODE_ENV: 'test', CACHE_BUDGET: '1s' });
/** Keys of simulated sessions do not change. */
const NO_DELIVERY = { note: () => undefined } as unknown as KeyDelivery;
const SILENT = pino({ level: 'silent' });

export interface World {
  clock: VirtualClock;
  network: Network;
  redis: SimulatedRedis;
  postgres: SimulatedPostgres;
}

/** One process: the session check, its cache protocol, the denial list and its feed, all as shipped. */
export class SimulatedInstance {
  readonly denials = new DenialList();
  readonly verdicts: SessionCache;
  readonly check: SessionCheck;
  readonly feed: RevocationSubscriber;
  /** Whether it serves requests: its first poll has succeeded. */
  ready = false;
  paused = false;
  dead = false;
  /** The identity that it has read from its server. */
  private identity: number | null = null;

  constructor(private readonly world: World) {
    const { clock } = world;
    const port = this.cachePort();
    this.verdicts = new SessionCache(port, clock, SETTINGS);
    this.check = new SessionCheck(this.reader(), this.verdicts, NO_DELIVERY, clock, SETTINGS);
    this.feed = new RevocationSubscriber(this.denials, port, new AlignedClock(clock), SETTINGS, SILENT);
    const inside = this.feed as unknown as {
      listen(): Promise<pg.Client>;
      cursor: { begin(client: pg.Client): Promise<void> };
    };
    inside.listen = async () => {
      const client = this.connection();
      await inside.cursor.begin(client);
      return client;
    };
  }

  get knowsRedis(): boolean {
    return this.identity !== null;
  }

  /** Redis is another server, or its connection broke: its identity is unknown until the instance reads it. */
  loseRedis(): void {
    this.identity = null;
  }

  async greetRedis(): Promise<void> {
    const { network, redis } = this.world;
    this.identity = await network.fly(this, 'cache', () => redis.identity);
  }

  /** As when the connection of the feed breaks. */
  loseFeed(): void {
    (this.feed as unknown as { client: pg.Client | null }).client = null;
  }

  private connection(): pg.Client {
    const { network, postgres } = this.world;
    return {
      query: (statement: string | pg.QueryConfig<[string, string]>) =>
        network.fly(this, 'postgres', () =>
          typeof statement === 'string'
            ? postgres.answer(statement)
            : postgres.answer(statement.text, statement.values),
        ),
      end: async () => undefined,
    } as unknown as pg.Client;
  }

  private reader(): SessionReader {
    const { network, postgres } = this.world;
    const readMany = (ids: string[]) =>
      network.fly(
        this,
        'postgres',
        () => new Map(ids.map((id) => [id, postgres.sessions.get(id)!.snapshot])),
      );
    const read = async (id: string) => (await readMany([id])).get(id);
    return { readMany, read } as unknown as SessionReader;
  }

  /**
   * The port like its Redis implementation: entries of readers carry the server's identity, those of revocations do
   * not.
   */
  private cachePort(): CachePort {
    const { network, redis } = this.world;
    const attempt = async <T>(effect: (identity: number) => T): Promise<T> => {
      const { identity } = this;
      if (identity === null) throw new CacheUnavailable();
      const result = await network.fly(this, 'cache', () => effect(identity));
      if (this.identity !== identity) throw new CacheUnavailable();
      return result;
    };
    const port: Omit<CachePort, 'kind'> & { kind: CachePort['kind'] } = {
      kind: 'redis',
      misconfiguration: null,
      readMany: (keys) => attempt((identity) => keys.map((key) => redis.get(key, identity))),
      setIfAbsent: (entries, ttl) =>
        attempt((identity) =>
          entries.map(([key, value]) => {
            if (redis.get(key, identity) !== null) return false;
            redis.set(key, value, ttl, identity);
            return true;
          }),
        ),
      compareAndSet: (swaps, ttl) =>
        attempt((identity) =>
          swaps.map(([key, expected, value]) => {
            if (redis.get(key, identity) !== JSON.stringify(expected)) return false;
            redis.set(key, value, ttl, identity);
            return true;
          }),
        ),
      setMany: (entries, ttl) => attempt(() => entries.forEach(([key, value]) => redis.set(key, value, ttl))),
      deleteMany: (keys) => attempt(() => keys.forEach((key) => redis.delete(key))),
      ping: () => attempt(() => undefined),
    };
    return port;
  }
}
