import { createCache, type Cache } from 'cache-manager';
import { redisInsStore, type RedisStore } from 'cache-manager-redis-yet';
import { EventEmitter } from 'node:events';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { createClient } from 'redis';
import { every } from '../common/every.js';
import type { Logger } from '../common/logger.js';
import { CacheUnavailable } from './cache-port.js';
import { goesOn, readGreeting, type Greeting, type Reign } from './reign.js';

/** When nothing has been asked of it, a server's replacement is noticed so late; it also keeps connections alive. */
const GREETING_INTERVAL_MS = 1_000;

interface NodeEvents {
  /** It has said who it is, and that is news. */
  greeted: [];
  /** It is away, or an answer suggests that roles or slots have changed hands. */
  doubted: [];
  /** Its certificate is for other names. */
  refused: [];
}

/**
 * One Redis server: its connection, and in which reign it is. That is learned at each connect and each second, and
 * looked at with everything that is read; while it is not known, or the server is no master, nothing else is asked.
 */
export class RedisNode extends EventEmitter<NodeEvents> {
  readonly client: Client;
  /** For plain values. */
  readonly cache: Cache;
  greeting: Greeting | null = null;
  /** Why it was last away, where that was said. */
  trouble?: unknown;
  /** Whether an answer that came too late is still to come. */
  owes = false;
  private reign: Reign | null = null;
  private questions = 0;
  private readonly stop: () => void;

  /**
   * @param authorities whose certificates are believed, in PEM; else those that Node knows
   * @param names for one of which its certificate has to be, the preferred one first
   */
  constructor(
    private readonly url: string,
    private readonly logger: Logger,
    authorities?: string,
    names: () => string[] = () => [this.hostname],
  ) {
    super();
    this.client = clientFor(url, authorities, names);
    // cache-manager-redis-yet is typed for an older client; it only calls get, set(PX) and del, which are the same.
    this.cache = createCache(redisInsStore(this.client as unknown as RedisStore['client']));
    const lose = (why?: unknown) => this.lose(why);
    // Without a listener for `error` a dropped socket would end the process.
    this.client.on('error', lose).on('reconnecting', lose).on('end', lose).on('connect', lose);
    this.client.on('ready', () => void this.greet());
    this.stop = every(
      GREETING_INTERVAL_MS,
      () => this.greet(),
      () => undefined,
    );
    void this.client.connect().catch(() => undefined);
  }

  /** Where it is, without what is secret about it. */
  get address(): string {
    return new URL(this.url).host;
  }

  get hostname(): string {
    return new URL(this.url).hostname;
  }

  /** Whether it cannot be used because its certificate is for other names. That does not pass by itself. */
  get isMisnamed(): boolean {
    return (
      this.greeting === null && (this.trouble as { code?: unknown })?.code === 'ERR_TLS_CERT_ALTNAME_INVALID'
    );
  }

  /** Whether it may be asked for values. */
  get isMaster(): boolean {
    return this.reign !== null;
  }

  /**
   * Asks in one round trip, and in the same breath whether the reign goes on. A reign that has ended does not come back:
   * what was answered before was answered in it, also by a server whose demotion nobody has noticed.
   * @throws CacheUnavailable when it has ended or is not known, or when the server errs
   */
  ask<T>(
    questions: (pipeline: Pipeline) => unknown,
    understand: (answers: unknown[], seal: string) => T,
  ): Promise<T> {
    return this.attempt(async (reign) => {
      const pipeline = this.client.multi();
      questions(pipeline);
      const answers = (await pipeline.info('replication').execAsPipeline()) as unknown[];
      this.insist(reign, answers.pop() as string);
      return understand(answers, reign.seal);
    });
  }

  /** Does several things, and asks after them what {@link ask} asks: nobody but a master can acknowledge. */
  tell<T>(work: (seal: string) => Promise<T>): Promise<T> {
    return this.attempt(async (reign) => {
      const result = await work(reign.seal);
      this.insist(reign, await this.client.info('replication'));
      return result;
    });
  }

  /** Does what is harmless when the reign has ended meanwhile. @throws as {@link ask} */
  async attempt<T>(work: (reign: Reign) => Promise<T>): Promise<T> {
    if (this.reign === null) throw new CacheUnavailable();
    try {
      return await work(this.reign);
    } catch (error) {
      this.heed(error);
      throw error instanceof CacheUnavailable ? error : new CacheUnavailable(error);
    }
  }

  /** Asks the server who it is. Of several questions under way the last one counts. */
  async greet(): Promise<void> {
    if (!this.client.isReady) return;
    const question = ++this.questions;
    try {
      const info = await Promise.all([this.client.info('server'), this.client.info('replication')]);
      if (question === this.questions) this.adopt(readGreeting(info.join('\n')));
    } catch (error) {
      if (question === this.questions) this.lose(error);
    }
  }

  /** Draws conclusions from an error: who has not got a slot may know who has. */
  heed(error: unknown): void {
    if (startsWith(error, MOVED_WORDS)) this.emit('doubted');
  }

  /** Connects anew, for an address that may lead to another server by now. */
  reconnect(): void {
    // Otherwise it is connecting already.
    if (!this.client.isReady) return;
    this.client.destroy();
    void this.client.connect().catch(() => undefined);
  }

  close(): void {
    this.stop();
    this.reign = null;
    this.removeAllListeners();
    if (this.client.isOpen) this.client.destroy();
  }

  private insist(reign: Reign, infoReplication: string): void {
    if (goesOn(reign, infoReplication)) return;
    this.lose(new Error('its reign has ended'));
    void this.greet();
    throw new CacheUnavailable();
  }

  private adopt(greeting: Greeting): void {
    const known = this.greeting;
    if (greeting.role !== 'master') this.lose(new Error('it is a replica'));
    else if (this.reign?.seal !== greeting.seal) {
      this.reign = greeting;
      this.logger.debug({ redis: this.address }, 'Redis is there');
    }
    this.greeting = greeting;
    if (known?.seal !== greeting.seal || known.role !== greeting.role) this.emit('greeted');
  }

  private lose(why?: unknown): void {
    this.questions += 1;
    this.greeting = null;
    this.trouble = why ?? this.trouble;
    if (this.isMisnamed) this.emit('refused');
    if (this.reign === null) return;
    this.reign = null;
    this.logger.warn(
      { err: why, redis: this.address },
      'Redis is away; its sessions are checked in PostgreSQL',
    );
    this.emit('doubted');
  }
}

const MOVED_WORDS = ['MOVED ', 'CLUSTERDOWN '];
const SLOT_WORDS = [...MOVED_WORDS, 'ASK ', 'TRYAGAIN '];

/** Whether a node of a cluster says of one key that its slot is elsewhere, on its way, or nowhere. */
export function isAboutSlot(error: unknown): boolean {
  return startsWith(error, SLOT_WORDS);
}

function startsWith(error: unknown, words: string[]): boolean {
  return error instanceof Error && words.some((word) => error.message.startsWith(word));
}

type Client = ReturnType<typeof clientFor>;
export type Pipeline = ReturnType<Client['multi']>;

function clientFor(url: string, authorities: string | undefined, names: () => string[]) {
  const tls = () => ({
    tls: true as const,
    ca: authorities,
    rejectUnauthorized: true,
    // A server that has several certificates chooses by this name; an address cannot be one.
    servername: names().find((name) => isIP(bare(name)) === 0),
    checkServerIdentity: (_: string, certificate: PeerCertificate) => {
      const [refusal, ...others] = names().map((name) => checkServerIdentity(bare(name), certificate));
      return others.includes(undefined) ? undefined : refusal;
    },
  });
  return createClient({
    url,
    // A command is refused rather than kept for a server that is away: PostgreSQL answers meanwhile.
    disableOfflineQueue: true,
    commandsQueueMaxLength: 50_000,
    socket: {
      ...(url.startsWith('rediss:') && tls()),
      connectTimeout: 2_000,
      socketTimeout: 3_000,
      reconnectStrategy: (attempt: number) => Math.min(25 * 2 ** attempt, 1_000),
    },
  });
}

/** An IPv6 address without the brackets that it has in URLs. */
export function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}
