import type pg from 'pg';
import { ApiKeyFormat } from '../../src/auth/api-keys/api-key-format.js';
import { ApiKeyCache } from '../../src/auth/api-keys/check/api-key-cache.js';
import { ApiKeyCheck } from '../../src/auth/api-keys/check/api-key-check.js';
import { KeyStore } from '../../src/platform/keys/key-store.js';
import type { Metrics } from '../../src/platform/metrics/metrics.js';
import { AlignedClock } from '../../src/platform/runtime/clock.js';
import { loadSettings } from '../../src/platform/settings/load-settings.js';
import { DenialList } from '../../src/sessions/revocation/denial-list.js';
import type { KeyDelivery } from '../../src/sessions/refresh/key-delivery.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { SessionCheck } from '../../src/sessions/check/session-check.js';
import type { SessionReader } from '../../src/sessions/check/session-reader.js';
import { SessionCache } from '../../src/sessions/check/session-cache.js';
import { servicesOf, SILENT, type Services } from './services.js';
import { SimulatedCache } from './stores/simulated-cache.js';
import { SimulatedDatabase } from './stores/simulated-database.js';
import type { Network, VirtualClock } from './stores/network.js';
import type { SimulatedPostgres } from './stores/simulated-postgres.js';
import type { SimulatedRedis } from './stores/simulated-redis.js';

// The delays of the code itself are real timers, long enough never to end within a schedule.
export const SETTINGS = loadSettings({ NODE_ENV: 'test', CACHE_BUDGET: '1s' });
export const FORMAT = new ApiKeyFormat(SETTINGS);
/** Keys of simulated sessions do not change. */
const NO_DELIVERY = { note: () => undefined } as unknown as KeyDelivery;
const NO_METRICS = { counter: () => undefined } as unknown as Metrics;
const SECRETS = new KeyStore({
  signing: [],
  refreshSecrets: [{ secret: Buffer.alloc(32, 1) }],
  encryption: [],
});

export interface World {
  clock: VirtualClock;
  network: Network;
  redis: SimulatedRedis;
  postgres: SimulatedPostgres;
  random: () => number;
}

/** One process. The checks, their cache protocol, the ends of credentials, the denial list and its feed are as shipped. */
export class SimulatedInstance {
  readonly denials = new DenialList();
  readonly check: SessionCheck;
  readonly keys: ApiKeyCheck;
  readonly reader: SessionReader;
  readonly feed: RevocationSubscriber;
  readonly services: Services;
  readonly redis: SimulatedCache;
  readonly database: SimulatedDatabase;
  /** Whether it serves requests: its first poll has succeeded. */
  ready = false;
  paused = false;
  dead = false;

  constructor(readonly world: World) {
    const { clock, network, redis, postgres, random } = world;
    this.redis = new SimulatedCache(this, network, redis);
    this.database = new SimulatedDatabase(this, network, postgres, random);
    const [port, pool] = [this.redis.port(), this.database.pool()];
    this.reader = this.makeReader();
    const sessionCache = new SessionCache(port, clock, SETTINGS);
    const keyCache = new ApiKeyCache(port, clock, SETTINGS, SECRETS);
    this.check = new SessionCheck(this.reader, sessionCache, NO_DELIVERY, clock, SETTINGS);
    this.keys = new ApiKeyCheck(FORMAT, this.denials, clock, keyCache, pool, NO_METRICS);
    this.feed = new RevocationSubscriber(this.denials, port, new AlignedClock(clock), SETTINGS, SILENT);
    this.services = servicesOf({
      ...this.world,
      database: this.database,
      denials: this.denials,
      sessionCache,
      settings: SETTINGS,
      format: FORMAT,
    });
    const inside = this.feed as unknown as {
      listen(): Promise<pg.Client>;
      cursor: { begin(client: pg.Client): Promise<void> };
    };
    inside.listen = async () => {
      const client = this.database.connection();
      await inside.cursor.begin(client);
      return client;
    };
  }

  /** As when the connection of the feed breaks. */
  loseFeed(): void {
    (this.feed as unknown as { client: pg.Client | null }).client = null;
  }

  /** The polls of the feed that time starts. The explorer starts the polls. */
  stopPolls(): void {
    (this.feed as unknown as { stop(): void }).stop();
  }

  private makeReader(): SessionReader {
    const { network, postgres } = this.world;
    const readMany = (ids: string[]) =>
      network.fly(this, 'postgres', () => new Map(ids.map((id) => [id, postgres.session(id)])));
    const read = async (id: string) => (await readMany([id])).get(id);
    return { readMany, read } as unknown as SessionReader;
  }
}
