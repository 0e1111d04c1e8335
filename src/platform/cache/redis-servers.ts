import { EventEmitter, once } from 'node:events';
import { repeat } from '../jobs/repeat.js';
import type { Logger } from '../logging/logger.js';
import { withTimeout } from '../runtime/with-timeout.js';
import { RedisCluster } from './cluster/redis-cluster.js';
import { urlOf } from './redis-client.js';
import { RedisNode } from './redis-node.js';

const REFRESH_INTERVAL_MS = 1_000;

/**
 * Finds the server of a key: the only server or, in a Redis Cluster, the master of its slot. A product with a single
 * Redis can delete `cluster/` and the lines that use it, here and in `redis-cache.ts`.
 */
export class RedisServers extends EventEmitter<{ changed: [] }> {
  private readonly first: RedisNode;
  private readonly alone: ReadonlySet<RedisNode>;
  /** Null if there is only one server. */
  private cluster: RedisCluster | null;
  private complained = false;
  private readonly stop: () => void;

  /**
   * @param urls one server, or several nodes of a cluster; credentials and TLS are those of the first
   * @param authorities trusted certificate authorities in PEM; by default those that Node knows
   */
  constructor(
    private readonly urls: readonly string[],
    private readonly logger: Logger,
    private readonly authorities?: string,
  ) {
    super();
    this.first = this.open(urlOf(urls[0]!));
    this.alone = new Set([this.first]);
    this.cluster = urls.length > 1 ? this.openCluster() : null;
    this.stop = repeat(
      REFRESH_INTERVAL_MS,
      () => this.refresh(),
      () => undefined,
    );
  }

  /**
   * Resolves when every key has an available server. Rejects with the reason after `timeout` ms, while attempts
   * continue.
   */
  async connect(timeout: number): Promise<void> {
    const whole = async () => {
      while (!this.isWhole) await once(this, 'changed');
    };
    await withTimeout(timeout, whole()).catch((late: unknown) => {
      throw this.nodes.find(({ trouble }) => trouble)?.trouble ?? late;
    });
  }

  /** The server that has every key; null in a cluster. */
  get only(): RedisNode | null {
    return this.cluster ? null : this.first;
  }

  /**
   * @param key with its prefix, as stored in Redis
   * @returns undefined if no node is known to have its slot
   */
  nodeFor(key: string): RedisNode | undefined {
    return this.cluster ? this.cluster.nodeFor(key) : this.first;
  }

  /** The nodes that have keys. Contains undefined if a slot has no known node. */
  get masters(): ReadonlySet<RedisNode | undefined> {
    return this.cluster?.masters ?? this.alone;
  }

  close(): void {
    this.stop();
    for (const node of this.nodes) node.close();
    this.cluster?.close();
  }

  /** Finds out about a change of servers; in a cluster from `knowing` or from the node whose turn it is. */
  async refresh(knowing?: RedisNode): Promise<void> {
    if (!this.cluster) return this.leaveReplica();
    await this.cluster.refresh(knowing);
    this.emit('changed');
  }

  /** The reason why the cache cannot be used until an operator changes a setting; null if there is none. */
  get misconfiguration(): string | null {
    const misnamed = [...this.masters, this.first].find((node) => node?.isMisnamed);
    if (!misnamed) return null;
    return (
      `the certificate of the Redis at ${misnamed.address} is for other names: use a name in REDIS_URL that is in its certificate, ` +
      'or let the nodes of a cluster announce their names (cluster-announce-hostname)'
    );
  }

  private get nodes(): RedisNode[] {
    return this.cluster?.nodes ?? [this.first];
  }

  private get isWhole(): boolean {
    return [...this.masters].every((node) => node?.isMaster);
  }

  private open(url: string, names?: () => string[]): RedisNode {
    const node = new RedisNode(url, this.logger, this.authorities, names);
    node.on('greeted', () => this.welcome(node));
    node.on('doubted', () => this.refreshSoon(node));
    node.on('refused', () => this.logOnce('error', node, this.misconfiguration ?? 'Redis is unavailable'));
    return node;
  }

  private openCluster(): RedisCluster {
    return new RedisCluster(this.urls, this.first, (url, names) => this.open(url, names));
  }

  /** The address may lead to a new master by now, while this connection still leads to the demoted one. */
  private leaveReplica(): void {
    if (this.first.identity?.role !== 'replica') return;
    this.logOnce(
      'warn',
      this.first,
      'REDIS_URL leads to a replica; the instance reconnects until it leads to a master',
    );
    this.first.reconnect();
  }

  private welcome(node: RedisNode): void {
    const { inCluster, role } = node.identity!;
    if (inCluster && !this.cluster) {
      this.logger.info(
        { redis: node.address },
        'Redis is a cluster; the instance learns the other nodes from this one',
      );
      this.cluster = this.openCluster();
    }
    if (!inCluster && this.cluster) {
      this.logOnce(
        'error',
        node,
        'REDIS_URL names several servers, as for a Redis Cluster, but this one is not part of a cluster',
      );
    } else if (role === 'master') this.complained = false;
    this.refreshSoon(node);
    this.emit('changed');
  }

  /** Logs only once, not every second. */
  private logOnce(level: 'warn' | 'error', node: RedisNode, what: string): void {
    if (!this.complained) this.logger[level]({ redis: node.address }, what);
    this.complained = true;
  }

  private refreshSoon(node: RedisNode): void {
    if (this.cluster?.mayRefresh) void this.refresh(node);
  }
}
