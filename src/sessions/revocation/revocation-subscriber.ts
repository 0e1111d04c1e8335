import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import { BootError } from '../../platform/settings/boot-error.js';
import { AlignedClock } from '../../platform/runtime/clock.js';
import { repeat } from '../../platform/jobs/repeat.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { CachePort } from '../../platform/cache/cache-port.js';
import { Settings } from '../../platform/settings/settings.js';
import { PostgresClient } from '../../platform/persistence/postgres/postgres-client.js';
import { connectionTo } from '../../platform/persistence/postgres/postgres-connection.js';
import { DenialList } from './denial-list.js';
import { RevocationCursor } from './revocation-cursor.js';
import { ADVISORY_LOCKS } from '../../platform/persistence/advisory-locks.js';
import { PRODUCT } from '../../product.js';

const POLL_INTERVAL_MS = 1_000;
/**
 * Without a successful poll for this long, the list may lack a revocation that is promised to be in force everywhere.
 */
const BLIND_AFTER_MS = 5_000;
const ANSWER_TIMEOUT_MS = 2_000;
/**
 * Pages are read in index order. While the table is not analysed, PostgreSQL would sort the remaining rows for each
 * page and compile the query (JIT). One generic plan is enough.
 */
const PLANS = { enable_sort: 'off', jit: 'off', plan_cache_mode: 'force_generic_plan' };

/**
 * The revocation subscriber: receives the revocations of every instance, on its own connection. LISTEN makes it fast,
 * and a poll each second makes it reliable. A notification has no content; it only triggers the next poll early.
 */
@Injectable()
export class RevocationSubscriber implements OnApplicationBootstrap, OnApplicationShutdown {
  private client: pg.Client | null = null;
  private readonly cursor = new RevocationCursor();
  private provenAt = -Infinity;
  private completeUntil = 0;
  private readonly listeners: (() => void)[] = [];
  private running: Promise<void> | null = null;
  private queued: Promise<void> | null = null;
  private stop: () => void = () => undefined;
  private interrupted = false;
  private connections = 0;
  private clockWasOff = false;
  private ending = false;

  constructor(
    private readonly denials: DenialList,
    private readonly cache: CachePort,
    private readonly clock: AlignedClock,
    private readonly settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** The instance serves no request before the denial list is complete. */
  async onApplicationBootstrap(): Promise<void> {
    await this.catchUp();
    this.stop = repeat(
      POLL_INTERVAL_MS,
      () => this.catchUp(),
      () => undefined,
    );
  }

  /**
   * Runs last, because requests in progress still need the list. After it no poll begins, and a running poll leaves
   * no connection open.
   */
  async onApplicationShutdown(): Promise<void> {
    this.ending = true;
    this.stop();
    await this.running?.catch(() => undefined);
    await this.client?.end().catch(() => undefined);
  }

  /** Whether the list may be incomplete: no poll that began in the last 5 s has succeeded. */
  isBlind(): boolean {
    return this.age() > BLIND_AFTER_MS;
  }

  /** Milliseconds since the last successful poll began. */
  age(): number {
    return this.clock.monotonic() - this.provenAt;
  }

  /**
   * Up to where the list is complete. `time`: the database's time of the last successful poll, in milliseconds since the
   * epoch; the list has every revocation that had committed by then. `seq`: it has every revocation up to this number.
   */
  get completeness(): { time: number; seq: number } {
    return { time: this.completeUntil, seq: this.cursor.settled };
  }

  /** How many connections to PostgreSQL the feed has had. A new one may lead to another server. */
  get connectionCount(): number {
    return this.connections;
  }

  /** Calls the listener after each successful poll: about once a second, and more often while revocations commit. */
  onPoll(listener: () => void): void {
    this.listeners.push(listener);
  }

  /**
   * Resolves when the list has every revocation that committed before the call. Calls that arrive during a poll share
   * the next one. Rejects when Postgres does not answer.
   */
  catchUp(): Promise<void> {
    if (!this.running) {
      this.running = this.poll().finally(() => (this.running = null));
      return this.running;
    }
    this.queued ??= this.running
      .catch(() => undefined)
      .then(() => {
        this.queued = null;
        return this.catchUp();
      });
    return this.queued;
  }

  /**
   * Resolves when the list has the revocation with this number. It resolves at once, without I/O, unless the
   * revocation is one or two seconds old. Rejects when Postgres does not answer, or when the number has not been
   * assigned.
   */
  async reach(seq: number): Promise<void> {
    if (this.cursor.hasPassed(seq)) return;
    await this.catchUp();
    if (!this.cursor.knows(seq)) throw new Error(`no revocation has the number ${seq} yet`);
  }

  private async poll(): Promise<void> {
    if (this.ending) throw new Error('the instance is shutting down');
    const startedAt = this.clock.monotonic();
    try {
      const client = (this.client ??= await this.listen());
      const askedAt = this.clock.uncorrected();
      const databaseTime = await this.cursor.advance(client, (notice) => this.denials.apply(notice));
      this.clock.compare(this.clock.fromDatabase(databaseTime), askedAt);
      this.tellOfClock();
      this.provenAt = startedAt;
      this.completeUntil = this.clock.fromDatabase(databaseTime);
      this.tell(null);
      this.denials.forget(this.clock.now());
      for (const listener of this.listeners) listener();
    } catch (error) {
      if (this.client) this.drop(this.client);
      this.tell(error);
      throw error;
    }
  }

  /** Logs once when the connection fails and once when it recovers, not each second. */
  private tell(error: unknown): void {
    if (error && !this.interrupted) this.logger.warn({ err: error }, 'the revocation feed is interrupted');
    if (!error && this.interrupted) this.logger.info('the revocation feed has resumed');
    this.interrupted = error !== null;
  }

  private tellOfClock(): void {
    const { isOff, offset } = this.clock;
    const seconds = Math.round(offset / 1_000);
    if (isOff && !this.clockWasOff)
      this.logger.error(
        { seconds },
        'the clocks of this machine and PostgreSQL differ by more than 5 s: the instance is not ready; synchronise them (NTP)',
      );
    if (!isOff && this.clockWasOff) this.logger.info('the clocks of this machine and PostgreSQL agree again');
    this.clockWasOff = isOff;
  }

  private async listen(): Promise<pg.Client> {
    const client = new PostgresClient({
      ...connectionTo(this.settings.databaseUrl!, this.settings),
      application_name: PRODUCT.applicationName.feed,
      connectionTimeoutMillis: ANSWER_TIMEOUT_MS,
      query_timeout: ANSWER_TIMEOUT_MS,
      keepAlive: true,
      session: PLANS,
    });
    client.on('error', () => this.drop(client));
    client.on('end', () => this.drop(client));
    client.on('notification', () => void this.catchUp().catch(() => undefined));
    try {
      await client.connect();
      await this.claimCacheForm(client);
      await client.query(`listen ${PRODUCT.revocationsChannel}`);
      await this.cursor.begin(client);
      this.connections += 1;
      return client;
    } catch (error) {
      this.drop(client);
      throw error;
    }
  }

  /**
   * An in-process cache does not receive the tombstones of other instances. Therefore its instance must be the only
   * one on the database. Instances that share a Redis may be many. The lock lasts as long as the connection.
   */
  private async claimCacheForm(client: pg.Client): Promise<void> {
    const take = this.cache.kind === 'memory' ? 'pg_try_advisory_lock' : 'pg_try_advisory_lock_shared';
    const { rows } = await client.query<{ taken: boolean }>(`select ${take}($1) as taken`, [
      ADVISORY_LOCKS.cacheForm,
    ]);
    if (!rows[0]!.taken) throw new CacheFormConflict();
  }

  private drop(client: pg.Client): void {
    if (this.client === client) this.client = null;
    void client.end().catch(() => undefined);
  }
}

/** An instance with an in-process cache shares its database with another instance. */
export class CacheFormConflict extends BootError {
  constructor() {
    super(
      'another instance uses this database, and instances without a shared Redis cannot notify each other: set REDIS_URL for all of them',
    );
  }
}
