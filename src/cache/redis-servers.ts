import calculateSlot from 'cluster-key-slot';
import { EventEmitter, once } from 'node:events';
import { isIP } from 'node:net';
import { every } from '../common/every.js';
import type { Logger } from '../common/logger.js';
import { within } from '../common/within.js';
import { bare, RedisNode } from './redis-node.js';

const SLOTS = 16_384;
const DEFAULT_PORT = 6_379;
const REFRESH_INTERVAL_MS = 1_000;
/** Many answers hint at the same change, and to list all slots is work for a server. */
const HINT_PAUSE_MS = 100;
const SLOTS_TIMEOUT_MS = 500;

/**
 * Which server has a key: the only one there is or, in a Redis Cluster, the master of its slot.
 *
 * The map of a cluster may be out of date without harm: a server answers for a key only while it has the slot, and
 * what it answers counts in its own reign only. So redirections are not followed; they bring the next look at the map
 * forward, and until then their keys have no answer.
 */
export class RedisServers extends EventEmitter<{ changed: [] }> {
  private readonly nodes = new Map<string, RedisNode>();
  /** The names that nodes announce beside their addresses (`cluster-announce-hostname`), by address. */
  private readonly hostnames = new Map<string, string>();
  /** Always connected: from them the others are learned, also when all that were known have gone. */
  private readonly seeds: ReadonlySet<string>;
  private readonly first: RedisNode;
  /** The master of each slot; null while there is but one server. */
  private slots: (RedisNode | undefined)[] | null;
  private owners: ReadonlySet<RedisNode | undefined>;
  private turn = 0;
  private restUntil = 0;
  private complained = false;
  private closed = false;
  private readonly stop: () => void;

  /**
   * @param urls one server, or several of a cluster; credentials and TLS are those of the first
   * @param authorities whose certificates are believed, in PEM; else those that Node knows
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
    this.stop = every(
      REFRESH_INTERVAL_MS,
      () => this.refresh(),
      () => undefined,
    );
  }

  /** Resolves when every key has a server that is there; rejects after `timeout` ms with why not, while attempts go on. */
  async connect(timeout: number): Promise<void> {
    const whole = async () => {
      while (!this.isWhole) await once(this, 'changed');
    };
    await within(timeout, whole()).catch((late: unknown) => {
      throw [...this.nodes.values()].find(({ trouble }) => trouble)?.trouble ?? late;
    });
  }

  /** The one that has every key; null in a cluster. */
  get only(): RedisNode | null {
    return this.slots ? null : this.first;
  }

  /** @param key as Redis knows it; undefined when nobody is known to have its slot */
  nodeFor(key: string): RedisNode | undefined {
    return this.slots ? this.slots[calculateSlot(key)] : this.first;
  }

  /** Those that have keys; undefined among them when some slot is nobody's. */
  get masters(): ReadonlySet<RedisNode | undefined> {
    return this.owners;
  }

  close(): void {
    this.closed = true;
    this.stop();
    for (const node of this.nodes.values()) node.close();
  }

  /** Looks at the map again, with the eyes of `knowing` or of whoever's turn it is. */
  async refresh(knowing?: RedisNode): Promise<void> {
    this.restUntil = performance.now() + HINT_PAUSE_MS;
    if (!this.slots) return this.leaveReplica();
    const nodes = [...this.nodes.values()];
    const turn = this.turn++ % nodes.length;
    const asked = [...(knowing ? [knowing] : []), ...nodes.slice(turn), ...nodes.slice(0, turn)];
    for (const node of asked) {
      // Refused at once where there is no connection. Who has left the cluster knows of no slots.
      const ranges = await within(SLOTS_TIMEOUT_MS, slotsOf(node)).catch(() => []);
      if (this.closed) return;
      if (ranges.length > 0) return this.assign(ranges, node);
    }
  }

  private get isWhole(): boolean {
    return [...this.owners].every((node) => node?.isMaster);
  }

  /** Behind one address another server may be the master by now, while this connection stays with its predecessor. */
  private leaveReplica(): void {
    if (this.first.greeting?.role !== 'replica') return;
    this.complain(
      'warn',
      this.first,
      'REDIS_URL leads to a replica; it is dialled until it leads to a master',
    );
    this.first.reconnect();
  }

  private assign(ranges: SlotRange[], source: RedisNode): void {
    const slots = nobodysSlots();
    for (const { from, to, master } of ranges) {
      // Without a host of its own it is where it was asked; `?` is a name that it does not know itself.
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
    node.on('greeted', () => this.meet(node));
    node.on('doubted', () => this.hint(node));
    node.on('refused', () => this.complain('error', node, this.misconfiguration ?? 'Redis is away'));
    return node;
  }

  /**
   * The names that a node's certificate may be for. Clusters often announce addresses, and their certificates have names:
   * the one that the node announces beside, or those by which `REDIS_URL` reaches the cluster.
   */
  private namesOf(address: string): string[] {
    const { hostname } = new URL(`rediss://${address}`);
    if (isIP(bare(hostname)) === 0 || this.seeds.has(address)) return [hostname];
    const announced = this.hostnames.get(address);
    return [hostname, ...(announced ? [announced] : []), ...this.urls.map((url) => new URL(url).hostname)];
  }

  /** Why the cache will not be used before somebody changes a setting; null when there is no such reason. */
  get misconfiguration(): string | null {
    const misnamed =
      [...this.owners].find((node) => node?.isMisnamed) ?? (this.first.isMisnamed ? this.first : undefined);
    if (!misnamed) return null;
    return (
      `the certificate of the Redis at ${misnamed.address} is for other names: reach it in REDIS_URL by a name that is in its certificate, ` +
      'or let the nodes of a cluster announce theirs (cluster-announce-hostname)'
    );
  }

  private meet(node: RedisNode): void {
    const { inCluster, role } = node.greeting!;
    if (inCluster && !this.slots) {
      this.logger.info(
        { redis: node.address },
        'Redis is a cluster; its other nodes are learned from this one',
      );
      this.slots = nobodysSlots();
      this.owners = new Set(this.slots);
    }
    if (!inCluster && this.slots) {
      this.complain(
        'error',
        node,
        'REDIS_URL names several servers, as of a Redis Cluster, but this one is in none',
      );
    } else if (role === 'master') this.complained = false;
    this.hint(node);
    this.emit('changed');
  }

  /** Once, not each second. */
  private complain(level: 'warn' | 'error', node: RedisNode, what: string): void {
    if (!this.complained) this.logger[level]({ redis: node.address }, what);
    this.complained = true;
  }

  private hint(node: RedisNode): void {
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

/** As the client reads `CLUSTER SLOTS`, with the names that Redis 7 tells beside addresses, which it leaves out. */
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
