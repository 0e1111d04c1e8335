import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { CachePort } from '../platform/cache/cache-port.js';
import { isRedis } from '../platform/cache/redis-calls.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { CHECK_POOL, MAIN_POOL } from '../platform/persistence/database.module.js';
import { RevocationDatabase } from '../platform/persistence/revocation-database.js';

/** The metrics of PostgreSQL and Redis, as this instance sees them. */
@Injectable()
export class StoreMetrics {
  private readonly pools: [name: string, pool: pg.Pool][];

  constructor(
    private readonly metrics: Metrics,
    private readonly cache: CachePort,
    @Inject(MAIN_POOL) main: pg.Pool,
    @Inject(CHECK_POOL) checks: pg.Pool,
    revocations: RevocationDatabase,
  ) {
    this.pools = [
      ['main', main],
      ['checks', checks],
      ['revocations', revocations.pool],
    ];
    this.measurePools();
    this.measureRedis();
  }

  private measurePools(): void {
    const { metrics, pools } = this;
    metrics.gauge({
      name: 'postgres_pool_connections',
      help: 'Connections to PostgreSQL by pool and state.',
      labelNames: ['pool', 'state'],
      collect() {
        for (const [pool, { totalCount, idleCount }] of pools) {
          this.set({ pool, state: 'idle' }, idleCount);
          this.set({ pool, state: 'busy' }, totalCount - idleCount);
        }
      },
    });
    metrics.values('postgres_pool_max_connections', 'The size of each pool.', 'pool', () =>
      pools.map(([pool, { options }]) => [pool, options.max]),
    );
    metrics.values(
      'postgres_pool_waiting_requests',
      'Statements and transactions that wait for a connection, by pool.',
      'pool',
      () => pools.map(([pool, { waitingCount }]) => [pool, waitingCount]),
    );
  }

  private measureRedis(): void {
    const { cache } = this;
    if (!isRedis(cache)) return;
    this.metrics.values(
      'redis_servers',
      'Redis servers that have keys, by state. In a cluster, a slot without a server counts as one that is unavailable.',
      'state',
      () => {
        const masters = [...cache.servers.masters];
        const available = masters.filter((node) => node?.isMaster).length;
        return [
          ['available', available],
          ['unavailable', masters.length - available],
        ];
      },
    );
  }
}
