import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from '../logging/logger.js';
import { withTimeout } from '../runtime/with-timeout.js';
import { CachePort, CacheUnavailable, type CacheValue } from './cache-port.js';
import { isAboutSlot, type RedisNode } from './redis-node.js';
import { RedisServers } from './redis-servers.js';
import { tagValue, COMPARE_AND_SET, untagValue, SET_IF_ABSENT } from './redis-epoch.js';
import { PRODUCT } from '../../product.js';

const { redisPrefix: PREFIX } = PRODUCT;

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

  /**
   * @param urls one server, or several nodes of one cluster
   * @param patience in ms: how long the answers of other cluster nodes wait for a slow one
   */
  constructor(
    urls: readonly string[],
    private readonly patience: number,
    logger: Logger,
    authorities?: string,
  ) {
    super();
    this.servers = new RedisServers(urls, logger, authorities);
  }

  /** Resolves when Redis is available. Rejects after `timeout` ms, while attempts continue in the background. */
  connect(timeout: number): Promise<void> {
    return this.servers.connect(timeout);
  }

  override async readMany(keys: string[]): Promise<(string | null)[]> {
    const { only } = this.servers;
    if (only) {
      return only.ask(
        (pipeline) => pipeline.mGet(keys.map((key) => PREFIX + key)),
        ([texts], seal) => openAll(texts as Texts, seal),
      );
    }
    const values = await this.gather(keys, itself, readEach);
    return values.map((value) => value ?? null);
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
    return this.tell(entries, keyOf, (node, [key, value]) => node.cache.set(PREFIX + key, value, px));
  }

  override deleteMany(keys: string[]): Promise<void> {
    return this.tell(keys, itself, (node, key) => node.cache.del(PREFIX + key));
  }

  override get misconfiguration(): string | null {
    return this.servers.misconfiguration;
  }

  override async ping(): Promise<void> {
    const all = [...this.servers.masters].map(async (node) => {
      if (!node) throw new CacheUnavailable();
      await node.tell(async () => undefined);
    });
    await Promise.all(all);
  }

  onApplicationShutdown(): void {
    this.servers.close();
  }

  /**
   * An atomic step for each key. One script handles all keys of a server. In a cluster a script is limited to one
   * slot, so each key gets its own call.
   */
  private async swap<Item extends [key: string, ...CacheValue[]]>(
    script: string,
    items: Item[],
    ttl: number,
    texts: (item: Item, seal: string) => string[],
  ): Promise<boolean[]> {
    const px = String(wholeTtl(ttl));
    const answers = await this.gather(items, keyOf, (node, share) =>
      node.attempt(async ({ seal }) => {
        const run = async (some: Item[]) =>
          (await node.client.eval(script, {
            keys: some.map(([key]) => PREFIX + key),
            arguments: [px, seal, ...some.flatMap((item) => texts(item, seal))],
          })) as number[];
        if (this.servers.only) return run(share);
        return (await each(node, share, (item) => run([item]))).map((answer) => answer?.[0]);
      }),
    );
    return answers.map((answer) => answer === 1);
  }

  /** Asks each server about its keys. In a cluster, undefined means that a key got no answer in time. */
  private async gather<Item, T>(
    items: Item[],
    keyOf: (item: Item) => string,
    ask: (node: RedisNode, share: Item[]) => Promise<(T | undefined)[]>,
  ): Promise<(T | undefined)[]> {
    const answers: (T | undefined)[] = Array.from({ length: items.length });
    const work = async ([node, places]: Share) => {
      const share = places.map((place) => items[place]!);
      const asked = () => ask(node!, share);
      const answered = await (this.servers.only ? asked() : this.soon(node, asked));
      answered?.forEach((answer, index) => (answers[places[index]!] = answer));
    };
    await Promise.all([...this.shares(items, keyOf)].map(work));
    return answers;
  }

  /**
   * Sends each server the writes for its keys. If one server cannot be reached, the others still get theirs, and the
   * promise rejects.
   */
  private async tell<Item>(
    items: Item[],
    keyOf: (item: Item) => string,
    act: (node: RedisNode, item: Item) => Promise<unknown>,
  ): Promise<void> {
    const work = async ([node, places]: Share) => {
      if (!node) throw new CacheUnavailable();
      await node.tell(() => Promise.all(places.map((place) => act(node, items[place]!))));
    };
    await Promise.all([...this.shares(items, keyOf)].map(work));
  }

  /** The indexes of the items, by the server that has their keys. */
  private shares<Item>(items: Item[], keyOf: (item: Item) => string): Map<Share[0], Share[1]> {
    const shares = new Map<RedisNode | undefined, number[]>();
    items.forEach((item, place) => {
      const node = this.servers.nodeFor(PREFIX + keyOf(item));
      const places = shares.get(node);
      if (places) places.push(place);
      else shares.set(node, [place]);
    });
    return shares;
  }

  /**
   * The answer of one cluster node, or undefined if it is late. A late node is not asked again before it has
   * answered.
   */
  private async soon<T>(node: RedisNode | undefined, work: () => Promise<T>): Promise<T | undefined> {
    if (!node?.isMaster || node.owes) return undefined;
    const answer = work();
    return withTimeout(this.patience, answer).catch(() => {
      node.owes = true;
      void answer.catch(() => undefined).finally(() => (node.owes = false));
      return undefined;
    });
  }
}

type Share = [node: RedisNode | undefined, places: number[]];

const itself = (key: string) => key;
const keyOf = ([key]: [key: string, ...unknown[]]) => key;

type Texts = (string | null | undefined)[];

function openAll(texts: Texts, seal: string): (string | null)[] {
  return texts.map((text) => untagValue(text ?? null, seal));
}

/**
 * MGET refuses keys of different slots, and one moved slot fails a whole pipeline. In that case each key is read
 * separately.
 */
async function readEach(node: RedisNode, keys: string[]): Promise<(string | null)[]> {
  try {
    return await node.ask(
      (pipeline) => keys.forEach((key) => pipeline.get(PREFIX + key)),
      (texts, seal) => openAll(texts as Texts, seal),
    );
  } catch (error) {
    if (!isAboutSlot((error as Error).cause)) throw error;
    return node.tell(async (seal) =>
      openAll(await each(node, keys, (key) => node.client.get(PREFIX + key)), seal),
    );
  }
}

/** A slot that has moved or is moving leaves only its own keys without an answer. */
function each<Item, T>(
  node: RedisNode,
  items: Item[],
  ask: (item: Item) => Promise<T>,
): Promise<(T | undefined)[]> {
  const forItsKeyOnly = (error: unknown) => {
    if (!isAboutSlot(error)) throw error;
    node.noteError(error);
    return undefined;
  };
  return Promise.all(items.map((item) => ask(item).catch(forItsKeyOnly)));
}

/** cache-manager-redis-yet treats a time to live of 0 as "no expiry", so it is rounded up to at least 1 ms. */
function wholeTtl(ttl: number): number {
  return Math.max(1, Math.ceil(ttl));
}
