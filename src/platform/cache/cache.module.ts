import { Global, Module, type DynamicModule } from '@nestjs/common';
import { Clock } from '../runtime/clock.js';
import { LOGGER, type Logger } from '../logging/logger.js';
import { Settings } from '../settings/settings.js';
import { authoritiesOf } from '../settings/store-tls.js';
import { AbsentCache } from './absent-cache.js';
import { applicationCache, CACHE_MANAGER } from './application-cache.js';
import { CachePort } from './cache-port.js';
import { MemoryCache } from './memory-cache.js';
import { isRedis, RedisCalls } from './redis-calls.js';

/**
 * How long a boot waits for Redis. Then it continues without: PostgreSQL answers session checks until Redis is
 * available.
 */
const BOOT_TIMEOUT_MS = 1_000;
/**
 * The share of a check's time budget for one node of a cluster. A slow node thus does not delay the answers of the
 * others.
 */
const NODE_SHARE = 0.8;

@Global()
@Module({
  providers: [
    {
      provide: CachePort,
      inject: [Settings, Clock, LOGGER],
      useFactory: async (settings: Settings, clock: Clock, logger: Logger) => {
        if (!settings.redisUrl) return new MemoryCache(clock);
        const { RedisCache } = await import('./redis-cache.js'); // loads 700 modules, so only with a Redis
        const redis = new RedisCache(
          settings.redisUrl,
          settings.cacheBudget * NODE_SHARE,
          logger,
          authoritiesOf(settings),
        );
        await redis.connect(BOOT_TIMEOUT_MS).catch((error) => {
          logger.warn(
            { err: error },
            'the Redis of REDIS_URL is unavailable or refuses the credentials; sessions are checked in PostgreSQL',
          );
        });
        return redis;
      },
    },
    {
      provide: CACHE_MANAGER,
      inject: [CachePort, Settings, Clock],
      useFactory: (cache: CachePort, { cacheBudget }: Settings, clock: Clock) =>
        applicationCache(isRedis(cache) ? new RedisCalls(cache.servers, cacheBudget, clock) : null, clock),
    },
  ],
  exports: [CachePort, CACHE_MANAGER],
})
export class CacheModule {
  /** For a command: without a Redis it has no cache, because that of the instance is in the memory of the instance. */
  static forCommand({ redisUrl }: Settings): DynamicModule {
    if (redisUrl) return { module: CacheModule };
    return { module: CacheModule, providers: [{ provide: CachePort, useValue: new AbsentCache() }] };
  }
}
