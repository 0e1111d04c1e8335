import type { Clock } from '../../platform/runtime/clock.js';
import { DurationSeries } from '../../platform/metrics/duration-histogram.js';
import { MicroBatcher } from '../../platform/performance/micro-batcher.js';
import type { BatchedReader } from './batched-reader.js';
import type { CachedRecord, CacheEntry, LeasedCache } from './leased-cache.js';

/** Seconds. An answer of Redis takes less than a millisecond; `CACHE_BUDGET` ends it after 50 ms. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5];

/** The records of one kind, from the cache or from Postgres. Reads of the same event-loop turn share a round trip. */
export class CachedReader<Snapshot extends CachedRecord> {
  /** How many checks each store has answered; `unavailable` counts the checks without an answer. */
  readonly answers = { cache: 0, postgres: 0, unavailable: 0 };
  /** How long the reads of each store took, with those that failed. */
  readonly durations = { cache: new DurationSeries(BOUNDS), postgres: new DurationSeries(BOUNDS) };
  private readonly cacheTurn = new MicroBatcher((ids) =>
    this.timed('cache', this.cache.read(ids)).catch(() => NO_ANSWERS),
  );
  private readonly missTurn = new MicroBatcher((ids) => this.readAndFill(ids));

  constructor(
    private readonly cache: LeasedCache<Snapshot>,
    private readonly reader: BatchedReader<Snapshot>,
    private readonly clock: Clock,
  ) {}

  /** The cached entry of a record: null if it has none, undefined if the cache failed or was too slow. */
  async fromCache(id: string): Promise<CacheEntry<Snapshot> | null | undefined> {
    const entry = (await this.cacheTurn.ask(id)).get(id);
    if (entry?.state === 'live' || entry?.state === 'ended') this.answers.cache += 1;
    return entry;
  }

  /**
   * Reads a record from Postgres.
   *
   * @param entry what the cache has. Only a reader that takes the lease of a record without an entry may fill it; in
   *   any other case another reader holds the lease, or the cache is down
   * @throws Problem `auth.unavailable`
   */
  async fromPostgres(
    id: string,
    entry: CacheEntry<Snapshot> | null | undefined,
  ): Promise<Snapshot | undefined> {
    try {
      const snapshot =
        entry === null
          ? (await this.missTurn.ask(id)).get(id)
          : await this.timed('postgres', this.reader.read(id));
      this.answers.postgres += 1;
      return snapshot;
    } catch (error) {
      this.answers.unavailable += 1;
      throw error;
    }
  }

  private timed<T>(store: 'cache' | 'postgres', answer: Promise<T>): Promise<T> {
    const startedAt = this.clock.monotonic();
    return answer.finally(() => this.durations[store].observe((this.clock.monotonic() - startedAt) / 1_000));
  }

  private async readAndFill(ids: string[]): Promise<Map<string, Snapshot>> {
    const leases = await this.cache.lease(ids).catch(() => []);
    const readAt = this.clock.now();
    const snapshots = await this.timed('postgres', this.reader.readMany(ids));
    void this.cache.fill(leases, snapshots, readAt);
    return snapshots;
  }
}

/** The cache failed or was too slow: read Postgres instead. */
const NO_ANSWERS: ReadonlyMap<string, never> = new Map<string, never>();
