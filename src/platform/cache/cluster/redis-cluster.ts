import calculateSlot from 'cluster-key-slot';
import { isIP } from 'node:net';
import { withTimeout } from '../../runtime/with-timeout.js';
import { addressOf, bareHost, urlOf } from '../redis-client.js';
import type { RedisNode } from '../redis-node.js';
import { SLOTS, slotsOf, type SlotRange } from './cluster-slots.js';

/**
 * Pause between two refreshes in ms. Many answers indicate the same change, and listing all slots is expensive for a
 * server.
 */
const HINT_PAUSE_MS = 100;
const SLOTS_TIMEOUT_MS = 500;

/**
 * The nodes of a Redis Cluster, and the master of each slot.
 *
 * An outdated slot map is harmless: a server answers for a key only while it has the slot, and the answer counts only
 * in its own Redis epoch. So redirections are not followed. They trigger the next refresh of the map, and until then
 * their keys have no answer.
 */
export class RedisCluster {
  private readonly byAddress = new Map<string, RedisNode>();
  /** The names that nodes announce besides their addresses (`cluster-announce-hostname`), by address. */
  private readonly hostnames = new Map<string, string>();
  /** Nodes that stay connected. The other nodes are discovered through them, even if all known nodes are gone. */
  private readonly seeds: ReadonlySet<string>;
  /** The master of each slot. */
  private slots: (RedisNode | undefined)[] = unknownSlots();
  private owners: ReadonlySet<RedisNode | undefined> = new Set(this.slots);
  private turn = 0;
  private restUntil = 0;
  private closed = false;

  /**
   * @param urls nodes of the cluster; credentials and TLS are those of the first
   * @param first the connection to the first node
   */
  constructor(
    private readonly urls: readonly string[],
    first: RedisNode,
    private readonly open: (url: string, names: () => string[]) => RedisNode,
  ) {
    this.byAddress.set(first.address, first);
    this.seeds = new Set(
      urls.map((url) => new URL(url)).map(({ hostname, port }) => addressOf(hostname, port)),
    );
    for (const address of this.seeds) this.nodeAt(address);
  }

  get nodes(): RedisNode[] {
    return [...this.byAddress.values()];
  }

  /** The nodes that have slots. Contains undefined if a slot has no known node. */
  get masters(): ReadonlySet<RedisNode | undefined> {
    return this.owners;
  }

  nodeFor(key: string): RedisNode | undefined {
    return this.slots[calculateSlot(key)];
  }

  get mayRefresh(): boolean {
    return performance.now() >= this.restUntil;
  }

  /** Refreshes the slot map, from `knowing` or from the node whose turn it is. */
  async refresh(knowing?: RedisNode): Promise<void> {
    this.restUntil = performance.now() + HINT_PAUSE_MS;
    const { nodes } = this;
    const turn = this.turn++ % nodes.length;
    const asked = [...(knowing ? [knowing] : []), ...nodes.slice(turn), ...nodes.slice(0, turn)];
    for (const node of asked) {
      // Rejects at once if there is no connection. A node that has left the cluster returns no slots.
      const ranges = await withTimeout(SLOTS_TIMEOUT_MS, slotsOf(node)).catch(() => []);
      if (this.closed) return;
      if (ranges.length > 0) return this.assign(ranges, node);
    }
  }

  /** No node is added afterwards. */
  close(): void {
    this.closed = true;
  }

  private assign(ranges: SlotRange[], source: RedisNode): void {
    const slots = unknownSlots();
    for (const { from, to, master } of ranges) {
      // An empty host means the host that was asked. `?` means that the node does not know its own name.
      const host = master.host || source.hostname;
      if (host === '?') continue;
      const address = addressOf(host, master.port);
      if (master.hostname) this.hostnames.set(address, master.hostname);
      slots.fill(this.nodeAt(address), from, to + 1);
    }
    this.slots = slots;
    this.owners = new Set(slots);
    for (const [address, node] of this.byAddress) {
      if (this.owners.has(node) || this.seeds.has(address)) continue;
      node.close();
      this.byAddress.delete(address);
    }
  }

  private nodeAt(address: string): RedisNode {
    const known = this.byAddress.get(address);
    if (known) return known;
    const node = this.open(urlOf(this.urls[0]!, address), () => this.namesOf(address));
    this.byAddress.set(address, node);
    return node;
  }

  /**
   * The names that a node's certificate may be for. Clusters often announce IP addresses, but their certificates
   * contain names: the announced name of the node, or the names in `REDIS_URL`.
   */
  private namesOf(address: string): string[] {
    const { hostname } = new URL(`rediss://${address}`);
    if (isIP(bareHost(hostname)) === 0 || this.seeds.has(address)) return [hostname];
    const announced = this.hostnames.get(address);
    return [hostname, ...(announced ? [announced] : []), ...this.urls.map((url) => new URL(url).hostname)];
  }
}

function unknownSlots(): (RedisNode | undefined)[] {
  return Array.from({ length: SLOTS });
}
