import { createCache, type Cache } from 'cache-manager';
import { redisInsStore, type RedisStore } from 'cache-manager-redis-yet';
import { EventEmitter } from 'node:events';
import { repeat } from '../jobs/repeat.js';
import type { Logger } from '../logging/logger.js';
import { CacheUnavailable } from './cache-port.js';
import { clientFor, type Client, type Pipeline } from './redis-client.js';
import { isSameEpoch, parseServerIdentity, type ServerIdentity, type RedisEpoch } from './redis-epoch.js';

/**
 * Interval of the identity check in ms. If nothing else is asked, a replaced server is noticed after this time. The
 * check also keeps connections alive.
 */
const GREETING_INTERVAL_MS = 1_000;

interface NodeEvents {
  /** The server has reported a new identity. */
  greeted: [];
  /** The server is down, or an answer suggests that roles or slots have changed. */
  doubted: [];
  /** The certificate of the server is for other names. */
  refused: [];
}

/**
 * One Redis server: its connection and its Redis epoch. The epoch is read at each connect and every second, and
 * checked with every read. While it is unknown, or while the server is no master, no other command is sent.
 */
export class RedisNode extends EventEmitter<NodeEvents> {
  readonly client: Client;
  /** Access to plain values. */
  readonly cache: Cache;
  identity: ServerIdentity | null = null;
  /** The last error of the connection, if known. */
  trouble?: unknown;
  /** Whether a late answer is still pending. */
  owes = false;
  private epoch: RedisEpoch | null = null;
  private questions = 0;
  private readonly stop: () => void;

  /**
   * @param authorities trusted certificate authorities in PEM; by default those that Node knows
   * @param names the certificate must be for one of them; the preferred one comes first
   */
  constructor(
    private readonly url: string,
    private readonly logger: Logger,
    authorities?: string,
    names: () => string[] = () => [this.hostname],
  ) {
    super();
    this.client = clientFor(url, authorities, names);
    // cache-manager-redis-yet is typed for an older client. It only calls get, set(PX) and del, which are unchanged.
    this.cache = createCache(redisInsStore(this.client as unknown as RedisStore['client']));
    const markDown = (why?: unknown) => this.lose(why);
    // Without a listener for `error`, a dropped socket would end the process.
    this.client
      .on('error', markDown)
      .on('reconnecting', markDown)
      .on('end', markDown)
      .on('connect', markDown);
    this.client.on('ready', () => void this.identify());
    this.stop = repeat(
      GREETING_INTERVAL_MS,
      () => this.identify(),
      () => undefined,
    );
    void this.client.connect().catch(() => undefined);
  }

  /** Host and port, without credentials. */
  get address(): string {
    return new URL(this.url).host;
  }

  get hostname(): string {
    return new URL(this.url).hostname;
  }

  /** Whether the server cannot be used because its certificate is for other names. Retries do not help then. */
  get isMisnamed(): boolean {
    return (
      this.identity === null && (this.trouble as { code?: unknown })?.code === 'ERR_TLS_CERT_ALTNAME_INVALID'
    );
  }

  /** Whether the server may be asked for values. */
  get isMaster(): boolean {
    return this.epoch !== null;
  }

  /**
   * Reads values and checks in the same round trip that the Redis epoch continues. An epoch that has ended never
   * returns. So the values were read within the epoch, even from a server whose demotion has not been noticed yet.
   * @throws CacheUnavailable if the epoch has ended or is unknown, or if the server reports an error
   */
  ask<T>(
    questions: (pipeline: Pipeline) => unknown,
    understand: (answers: unknown[], seal: string) => T,
  ): Promise<T> {
    return this.attempt(async (epoch) => {
      const pipeline = this.client.multi();
      questions(pipeline);
      const answers = (await pipeline.info('replication').execAsPipeline()) as unknown[];
      this.assertSameEpoch(epoch, answers.pop() as string);
      return understand(answers, epoch.seal);
    });
  }

  /**
   * Runs several commands and then checks the epoch as {@link ask} does: only a master can acknowledge writes.
   * @throws CacheUnavailable as {@link ask}
   */
  tell<T>(work: (seal: string) => Promise<T>): Promise<T> {
    return this.attempt(async (epoch) => {
      const result = await work(epoch.seal);
      this.assertSameEpoch(epoch, await this.client.info('replication'));
      return result;
    });
  }

  /**
   * Runs work that is harmless if the Redis epoch has ended meanwhile.
   * @throws CacheUnavailable as {@link ask}
   */
  async attempt<T>(work: (epoch: RedisEpoch) => Promise<T>): Promise<T> {
    if (this.epoch === null) throw new CacheUnavailable();
    try {
      return await work(this.epoch);
    } catch (error) {
      this.noteError(error);
      throw error instanceof CacheUnavailable ? error : new CacheUnavailable(error);
    }
  }

  /** Asks the server for its identity. Of several concurrent checks the last one counts. */
  async identify(): Promise<void> {
    if (!this.client.isReady) return;
    const question = ++this.questions;
    try {
      const info = await Promise.all([this.client.info('server'), this.client.info('replication')]);
      if (question === this.questions) this.adoptIdentity(parseServerIdentity(info.join('\n')));
    } catch (error) {
      if (question === this.questions) this.lose(error);
    }
  }

  /** Reports an error that suggests a changed cluster: a node that has lost a slot may know which node has it now. */
  noteError(error: unknown): void {
    if (isAboutMove(error)) this.emit('doubted');
  }

  /** Reconnects, because the address may lead to another server by now. */
  reconnect(): void {
    // If the client is not ready, it is already connecting.
    if (!this.client.isReady) return;
    this.client.destroy();
    void this.client.connect().catch(() => undefined);
  }

  close(): void {
    this.stop();
    this.epoch = null;
    this.removeAllListeners();
    if (this.client.isOpen) this.client.destroy();
  }

  private assertSameEpoch(epoch: RedisEpoch, infoReplication: string): void {
    if (isSameEpoch(epoch, infoReplication)) return;
    this.lose(new Error('its epoch has ended'));
    void this.identify();
    throw new CacheUnavailable();
  }

  private adoptIdentity(identity: ServerIdentity): void {
    const known = this.identity;
    if (identity.role !== 'master') this.lose(new Error('it is a replica'));
    else if (this.epoch?.seal !== identity.seal) {
      this.epoch = identity;
      this.logger.debug({ redis: this.address }, 'Redis is available');
    }
    this.identity = identity;
    if (known?.seal !== identity.seal || known.role !== identity.role) this.emit('greeted');
  }

  private lose(why?: unknown): void {
    this.questions += 1;
    this.identity = null;
    this.trouble = why ?? this.trouble;
    if (this.isMisnamed) this.emit('refused');
    if (this.epoch === null) return;
    this.epoch = null;
    this.logger.warn(
      { err: why, redis: this.address },
      'Redis is unavailable; its sessions are checked in PostgreSQL',
    );
    this.emit('doubted');
  }
}

/** The node has lost a slot, or the cluster has. */
const MOVED_WORDS = ['MOVED ', 'CLUSTERDOWN '];

function isAboutMove(error: unknown): boolean {
  return error instanceof Error && MOVED_WORDS.some((word) => error.message.startsWith(word));
}
