import { withTimeout } from '../../runtime/with-timeout.js';
import { CacheUnavailable } from '../cache-port.js';
import { untagValue } from '../redis-epoch.js';
import type { RedisNode } from '../redis-node.js';
import type { RedisServers } from '../redis-servers.js';
import { isAboutSlot } from './cluster-slots.js';

/** The items of one server, by their indexes. */
type Share = [node: RedisNode | undefined, places: number[]];

/** Calls for many keys in a Redis Cluster: each node is asked about its own keys. Keys have their prefix. */
export class ClusterCalls {
  /** @param patience in ms: how long the answers of other nodes wait for a slow one */
  constructor(
    private readonly servers: RedisServers,
    private readonly patience: number,
  ) {}

  /** Reads the values. Null also for a key that got no answer in time. */
  async readMany(keys: string[]): Promise<(string | null)[]> {
    const values = await this.gather(keys, (key) => key, readEach);
    return values.map((value) => value ?? null);
  }

  /** One call for each item, because a script is limited to one slot. Undefined for an item without an answer. */
  attemptEach<Item, T>(
    items: Item[],
    keyOf: (item: Item) => string,
    ask: (node: RedisNode, seal: string, item: Item) => Promise<T>,
  ): Promise<(T | undefined)[]> {
    return this.gather(items, keyOf, (node, share) =>
      node.attempt(({ seal }) => each(node, share, (item) => ask(node, seal, item))),
    );
  }

  /**
   * Sends each server the writes for its keys. If one server cannot be reached, the others still get theirs, and the
   * promise rejects.
   */
  async tell<Item>(
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

  /** Asks each server about its items. Undefined for an item that got no answer in time. */
  private async gather<Item, T>(
    items: Item[],
    keyOf: (item: Item) => string,
    ask: (node: RedisNode, share: Item[]) => Promise<(T | undefined)[]>,
  ): Promise<(T | undefined)[]> {
    const answers: (T | undefined)[] = Array.from({ length: items.length });
    const work = async ([node, places]: Share) => {
      const share = places.map((place) => items[place]!);
      const answered = await this.soon(node, () => ask(node!, share));
      answered?.forEach((answer, index) => (answers[places[index]!] = answer));
    };
    await Promise.all([...this.shares(items, keyOf)].map(work));
    return answers;
  }

  private shares<Item>(items: Item[], keyOf: (item: Item) => string): Map<Share[0], Share[1]> {
    const shares = new Map<RedisNode | undefined, number[]>();
    items.forEach((item, place) => {
      const node = this.servers.nodeFor(keyOf(item));
      const places = shares.get(node);
      if (places) places.push(place);
      else shares.set(node, [place]);
    });
    return shares;
  }

  /** The answer of one node, or undefined if it is late. A late node is not asked again before it has answered. */
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

const untagAll = (texts: (string | null | undefined)[], seal: string) =>
  texts.map((text) => untagValue(text ?? null, seal));

/**
 * MGET refuses keys of different slots, and one moved slot fails a whole pipeline. In that case each key is read
 * separately.
 */
async function readEach(node: RedisNode, keys: string[]): Promise<(string | null)[]> {
  try {
    return await node.ask(
      (pipeline) => keys.forEach((key) => pipeline.get(key)),
      (texts, seal) => untagAll(texts as (string | null)[], seal),
    );
  } catch (error) {
    if (!isAboutSlot((error as Error).cause)) throw error;
    return node.tell(async (seal) => untagAll(await each(node, keys, (key) => node.client.get(key)), seal));
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
