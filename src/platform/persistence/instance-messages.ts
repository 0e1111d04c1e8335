import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import { PRODUCT } from '../../product.js';
import { repeat } from '../jobs/repeat.js';
import { LOGGER, type Logger } from '../logging/logger.js';
import { Settings } from '../settings/settings.js';
import { PostgresClient } from './postgres/postgres-client.js';
import { connectionTo } from './postgres/postgres-connection.js';

const RECONNECT_INTERVAL_MS = 1_000;
const ANSWER_TIMEOUT_MS = 2_000;
/** PostgreSQL takes at most 7,999 bytes as the payload of a notification. */
const MAX_BYTES = 7_999;

type Listener = (message: unknown) => void;

/**
 * Messages from one instance to all, itself included, by LISTEN and NOTIFY of PostgreSQL. A message arrives after the
 * transaction that published it has committed, within milliseconds, and in the order of the commits.
 *
 * A message that is sent while an instance has no connection is lost for it. So a message should only say that there is
 * something new, and the listener should read it from its table. A listener of {@link onReconnect} catches up.
 *
 * A process has one connection for all subscriptions, and none without a subscription.
 */
@Injectable()
export class InstanceMessages implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly listeners = new Map<string, Listener[]>();
  private readonly catchUps: (() => void)[] = [];
  private client: pg.Client | null = null;
  private stop: () => void = () => undefined;
  private isCut = false;

  constructor(
    private readonly settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Sends a message when the transaction commits.
   *
   * @param message JSON of at most about 7,900 bytes
   * @throws RangeError if it is larger
   */
  async publish(tx: Pick<EntityManager, 'query'>, topic: string, message: unknown): Promise<void> {
    const payload = JSON.stringify([topic, message]);
    if (Buffer.byteLength(payload) > MAX_BYTES)
      throw new RangeError(`a message of the topic "${topic}" has more than ${MAX_BYTES} bytes`);
    await tx.query('select pg_notify($1, $2)', [PRODUCT.messagesChannel, payload]);
  }

  /** Calls the listener for each message of a topic. Call it in a constructor. */
  subscribe(topic: string, listener: Listener): void {
    this.listeners.set(topic, [...(this.listeners.get(topic) ?? []), listener]);
  }

  /** Calls the listener after the connection was lost: messages may be missing. */
  onReconnect(listener: () => void): void {
    this.catchUps.push(listener);
  }

  async onApplicationBootstrap(): Promise<void> {
    if (this.listeners.size === 0) return;
    await this.connect();
    this.stop = repeat(
      RECONNECT_INTERVAL_MS,
      () => this.connect(),
      () => undefined,
    );
  }

  async onApplicationShutdown(): Promise<void> {
    this.stop();
    const { client } = this;
    this.client = null; // so its end is no interruption
    await client?.end().catch(() => undefined);
  }

  /** Does nothing while the connection lives. A failure is tried again after the interval. */
  private async connect(): Promise<void> {
    if (this.client) return;
    const client = new PostgresClient({
      ...connectionTo(this.settings.databaseUrl!, this.settings),
      application_name: PRODUCT.applicationName.messages,
      connectionTimeoutMillis: ANSWER_TIMEOUT_MS,
      query_timeout: ANSWER_TIMEOUT_MS,
      keepAlive: true,
    });
    client.on('error', () => this.drop(client));
    client.on('end', () => this.drop(client));
    client.on('notification', ({ payload }) => this.deliver(payload!));
    try {
      this.client = client;
      await client.connect();
      await client.query(`listen ${PRODUCT.messagesChannel}`);
      if (this.isCut) for (const catchUp of this.catchUps) this.attempt(catchUp);
      this.isCut = false;
    } catch {
      this.drop(client);
    }
  }

  private deliver(payload: string): void {
    const [topic, message] = JSON.parse(payload) as [string, unknown];
    for (const listener of this.listeners.get(topic) ?? []) this.attempt(() => listener(message));
  }

  /** An error of one listener must not keep others from their messages. */
  private attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.logger.error({ err: error }, 'a listener of messages between instances failed');
    }
  }

  private drop(client: pg.Client): void {
    if (this.client !== client) return;
    this.client = null;
    if (!this.isCut) this.logger.warn('messages between instances are interrupted');
    this.isCut = true;
    void client.end().catch(() => undefined);
  }
}
