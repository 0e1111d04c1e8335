import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from '../logging/logger.js';
import { CachePort, CacheUnavailable, type CacheValue } from './cache-port.js';
import { ClusterCalls } from './cluster/cluster-calls.js';
import { isAboutSlot } from './cluster/cluster-slots.js';
import type { RedisNode } from './redis-node.js';
import { RedisServers } from './redis-servers.js';
import { tagValue, COMPARE_AND_SET, untagValue, SET_IF_ABSENT } from './redis-epoch.js';
import { PRODUCT } from '../../product.js';

const { redisPrefix: PREFIX } = PRODUCT;

const PROBE_TTL_MS = 1_000;
const MAX_PROBES = 100;

type Entry = [key: string, value: CacheValue];

/**
 * The cache that instances share: one Redis server or a Redis Cluster. Plain values go through cache-manager. The
 * atomic steps use its client.
 *
 * Three properties keep stale entries from being used:
 * - A session has one key, on whichever server. So a tombstone overwrites a cached session, and when a slot moves,
 *   both move with it.
 * - Entries of readers (leases, cached sessions) carry the Redis epoch in which they were written and are ignored in
 *   any other. So a server that was restored, replaced or promoted starts with an empty cache, whatever data it has.
 * - Tombstones carry no epoch: an ended session is ended in every epoch.
 */
@Injectable()
export class RedisCache extends CachePort implements OnApplicationShutdown {
  override readonly kind = 'redis';
  readonly servers: RedisServers;
  private readonly cluster: ClusterCalls;

  /**
   * @param urls one server, or several nodes of one cluster
   * @param patience in ms: how long the answers of other cluster nodes wait for a slow one
   */
  constructor(urls: readonly string[], patience: number, logger: Logger, authorities?: string) {
    super();
    this.servers = new RedisServers(urls, logger, authorities);
    this.cluster = new ClusterCalls(this.servers, patience);
  }

  /** Resolves when Redis is available. Rejects after `timeout` ms, while attempts continue in the background. */
  connect(timeout: number): Promise<void> {
    return this.servers.connect(timeout);
  }

  override async readMany(keys: string[]): Promise<(string | null)[]> {
    const { only } = this.servers;
    const names = keys.map(nameOf);
    if (!only) return this.cluster.readMany(names);
    return only.ask(
      (pipeline) => pipeline.mGet(names),
      ([texts], seal) => (texts as (string | null)[]).map((text) => untagValue(text, seal)),
    );
  }

  override setIfAbsent(entries: Entry[], ttl: number): Promise<boolean[]> {
    return this.swap(SET_IF_ABSENT, entries, ttl, ([, value], seal) => [tagValue(value, seal)]);
  }

  override compareAndSet(
    swaps: [key: string, expected: CacheValue, value: CacheValue][],
    ttl: number,
  ): Promise<boolean[]> {
    return this.swap(COMPARE_AND_SET, swaps, ttl, ([, expected, value], seal) => [
      JSON.stringify(expected),
      tagValue(value, seal),
    ]);
  }

  override setMany(entries: Entry[], ttl: number): Promise<void> {
    const px = wholeTtl(ttl);
    return this.tell(entries, nameOfItem, (node, [key, value]) => node.cache.set(nameOf(key), value, px));
  }

  override deleteMany(keys: string[]): Promise<void> {
    return this.tell(keys, nameOf, (node, key) => node.cache.del(nameOf(key)));
  }

  override get misconfiguration(): string | null {
    return this.servers.misconfiguration;
  }

  /** Writes to each master, because a server that is full, or that cannot save, refuses only writes. */
  override async ping(): Promise<void> {
    const all = [...this.servers.masters].map(async (node) => {
      if (!node) throw new CacheUnavailable();
      const probe = this.probeOf(node);
      await node.tell(async () => {
        if (probe) await node.cache.set(probe, 1, PROBE_TTL_MS).catch(unlessAboutSlot);
      });
    });
    await Promise.all(all);
  }

  onApplicationShutdown(): void {
    this.servers.close();
  }

  /** A key that a node has; undefined if none is found soon, because the node has few slots. */
  private probeOf(node: RedisNode): string | undefined {
    for (let tries = 0; tries < MAX_PROBES; tries++) {
      const probe = nameOf(`probe:${tries}`);
      if (this.servers.nodeFor(probe) === node) return probe;
    }
    return undefined;
  }

  /** An atomic step for each key. With one server, one script handles all keys. */
  private async swap<Item extends [key: string, ...CacheValue[]]>(
    script: string,
    items: Item[],
    ttl: number,
    texts: (item: Item, seal: string) => string[],
  ): Promise<boolean[]> {
    if (items.length === 0) return [];
    const px = String(wholeTtl(ttl));
    const run = async (node: RedisNode, seal: string, some: Item[]) =>
      (await node.client.eval(script, {
        keys: some.map(nameOfItem),
        arguments: [px, seal, ...some.flatMap((item) => texts(item, seal))],
      })) as number[];
    const { only } = this.servers;
    const answers = only
      ? await only.attempt(({ seal }) => run(only, seal, items))
      : await this.cluster.attemptEach(items, nameOfItem, async (node, seal, item) => {
          const [answer] = await run(node, seal, [item]);
          return answer;
        });
    return answers.map((answer) => answer === 1);
  }

  private async tell<Item>(
    items: Item[],
    nameOf: (item: Item) => string,
    act: (node: RedisNode, item: Item) => Promise<unknown>,
  ): Promise<void> {
    if (items.length === 0) return;
    const { only } = this.servers;
    if (only) await only.tell(() => Promise.all(items.map((item) => act(only, item))));
    else await this.cluster.tell(items, nameOf, act);
  }
}

/** The slot of one key may be moving. The node is fine. */
function unlessAboutSlot(error: unknown): void {
  if (!isAboutSlot(error)) throw error;
}

/** The name of a key in Redis. */
const nameOf = (key: string) => PREFIX + key;
const nameOfItem = ([key]: [key: string, ...unknown[]]) => PREFIX + key;

/** cache-manager-redis-yet treats a time to live of 0 as "no expiry", so it is rounded up to at least 1 ms. */
function wholeTtl(ttl: number): number {
  return Math.max(1, Math.ceil(ttl));
}
