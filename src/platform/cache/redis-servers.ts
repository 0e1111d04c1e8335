import calculateSlot from 'cluster-key-slot';
import { EventEmitter, once } from 'node:events';
import { isIP } from 'node:net';
import { repeat } from '../jobs/repeat.js';
import type { Logger } from '../logging/logger.js';
import { withTimeout } from '../runtime/with-timeout.js';
import { bareHost, RedisNode } from './redis-node.js';

const SLOTS = 16_384;
const DEFAULT_PORT = 6_379;
const REFRESH_INTERVAL_MS = 1_000;
/**
 * Pause between two refreshes in ms. Many answers indicate the same change, and listing all slots is expensive for a
 * server.
 */
const HINT_PAUSE_MS = 100;
const SLOTS_TIMEOUT_MS = 500;

/**
 * Finds the server of a key: the only server or, in a Redis Cluster, the master of its slot.
 *
 * An outdated slot map is harmless: a server answers for a key only while it has the slot, and the answer counts only
 * in its own Redis epoch. So redirections are not followed. They trigger the next refresh of the map, and until then
 * their keys have no answer.
 */
export class RedisServers extends EventEmitter<{ changed: [] }> {
  private readonly nodes = new Map<string, RedisNode>();
  /** The names that nodes announce besides their addresses (`cluster-announce-hostname`), by address. */
  private readonly hostnames = new Map<string, string>();
  /** Nodes that stay connected. The other nodes are discovered through them, even if all known nodes are gone. */
  private readonly seeds: ReadonlySet<string>;
  private readonly first: RedisNode;
  /** The master of each slot; null if there is only one server. */
  private slots: (RedisNode | undefined)[] | null;
  private owners: ReadonlySet<RedisNode | undefined>;
  private turn = 0;
  private restUntil = 0;
  private complained = false;
  private closed = false;
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
    this.seeds = new Set(
      urls.map((url) => new URL(url)).map(({ hostname, port }) => addressOf(hostname, port)),
    );
    this.slots = urls.length > 1 ? nobodysSlots() : null;
    [this.first] = [...this.seeds].map((address) => this.nodeAt(address)) as [RedisNode];
    this.owners = new Set(this.slots ?? [this.first]);
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
      throw [...this.nodes.values()].find(({ trouble }) => trouble)?.trouble ?? late;
    });
  }

  /** The server that has every key; null in a cluster. */
  get only(): RedisNode | null {
    return this.slots ? null : this.first;
  }

  /**
   * @param key with its prefix, as stored in Redis
   * @returns undefined if no node is known to have its slot
   */
  nodeFor(key: string): RedisNode | undefined {
    return this.slots ? this.slots[calculateSlot(key)] : this.first;
  }

  /** The nodes that have keys. Contains undefined if a slot has no known node. */
  get masters(): ReadonlySet<RedisNode | undefined> {
    return this.owners;
  }

  close(): void {
    this.closed = true;
    this.stop();
    for (const node of this.nodes.values()) node.close();
  }

  /** Refreshes the slot map, from `knowing` or from the node whose turn it is. */
  async refresh(knowing?: RedisNode): Promise<void> {
    this.restUntil = performance.now() + HINT_PAUSE_MS;
    if (!this.slots) return this.leaveReplica();
    const nodes = [...this.nodes.values()];
    const turn = this.turn++ % nodes.length;
    const asked = [...(knowing ? [knowing] : []), ...nodes.slice(turn), ...nodes.slice(0, turn)];
    for (const node of asked) {
      // Rejects at once if there is no connection. A node that has left the cluster returns no slots.
      const ranges = await withTimeout(SLOTS_TIMEOUT_MS, slotsOf(node)).catch(() => []);
      if (this.closed) return;
      if (ranges.length > 0) return this.assign(ranges, node);
    }
  }

  private get isWhole(): boolean {
    return [...this.owners].every((node) => node?.isMaster);
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

  private assign(ranges: SlotRange[], source: RedisNode): void {
    const slots = nobodysSlots();
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
    for (const [address, node] of this.nodes) {
      if (this.owners.has(node) || this.seeds.has(address)) continue;
      node.close();
      this.nodes.delete(address);
    }
    this.emit('changed');
  }

  private nodeAt(address: string): RedisNode {
    const known = this.nodes.get(address);
    if (known) return known;
    const url = new URL(this.urls[0]!);
    url.host = address;
    const node = new RedisNode(url.href, this.logger, this.authorities, () => this.namesOf(address));
    this.nodes.set(address, node);
    node.on('greeted', () => this.connectTo(node));
    node.on('doubted', () => this.logSetupHint(node));
    node.on('refused', () => this.logOnce('error', node, this.misconfiguration ?? 'Redis is unavailable'));
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

  /** The reason why the cache cannot be used until an operator changes a setting; null if there is none. */
  get misconfiguration(): string | null {
    const misnamed =
      [...this.owners].find((node) => node?.isMisnamed) ?? (this.first.isMisnamed ? this.first : undefined);
    if (!misnamed) return null;
    return (
      `the certificate of the Redis at ${misnamed.address} is for other names: use a name in REDIS_URL that is in its certificate, ` +
      'or let the nodes of a cluster announce their names (cluster-announce-hostname)'
    );
  }

  private connectTo(node: RedisNode): void {
    const { inCluster, role } = node.identity!;
    if (inCluster && !this.slots) {
      this.logger.info(
        { redis: node.address },
        'Redis is a cluster; the instance learns the other nodes from this one',
      );
      this.slots = nobodysSlots();
      this.owners = new Set(this.slots);
    }
    if (!inCluster && this.slots) {
      this.logOnce(
        'error',
        node,
        'REDIS_URL names several servers, as for a Redis Cluster, but this one is not part of a cluster',
      );
    } else if (role === 'master') this.complained = false;
    this.logSetupHint(node);
    this.emit('changed');
  }

  /** Logs only once, not every second. */
  private logOnce(level: 'warn' | 'error', node: RedisNode, what: string): void {
    if (!this.complained) this.logger[level]({ redis: node.address }, what);
    this.complained = true;
  }

  private logSetupHint(node: RedisNode): void {
    if (this.slots && performance.now() >= this.restUntil) void this.refresh(node);
  }
}

function nobodysSlots(): (RedisNode | undefined)[] {
  return Array.from({ length: SLOTS });
}

interface SlotRange {
  from: number;
  to: number;
  master: { host: string | null; port: number; hostname?: string };
}

/** Reads `CLUSTER SLOTS` as the client does, but keeps the host names of Redis 7, which the client drops. */
async function slotsOf({ client }: RedisNode): Promise<SlotRange[]> {
  const ranges = (await client.sendCommand(['CLUSTER', 'SLOTS'])) as unknown as [number, number, RawNode][];
  return ranges.map(([from, to, [host, port, , metadata]]) => {
    const known = Array.isArray(metadata) ? fromPairs(metadata) : (metadata ?? {});
    return { from, to, master: { host, port, hostname: known['hostname'] } };
  });
}

type RawNode = [host: string | null, port: number, id?: string, metadata?: string[] | Record<string, string>];

function fromPairs(list: string[]): Record<string, string> {
  return Object.fromEntries(
    list.flatMap((key, index) => (index % 2 === 0 ? [[key, list[index + 1]!]] : [])),
  ) as Record<string, string>;
}

function addressOf(host: string, port: number | string): string {
  const isBareIpV6 = host.includes(':') && !host.startsWith('[');
  return `${isBareIpV6 ? `[${host}]` : host}:${port || DEFAULT_PORT}`;
}
