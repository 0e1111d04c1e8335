import type { RedisNode } from '../redis-node.js';

export const SLOTS = 16_384;

export interface SlotRange {
  from: number;
  to: number;
  master: { host: string | null; port: number; hostname?: string };
}

/** Reads `CLUSTER SLOTS` as the client does, but keeps the host names of Redis 7, which the client drops. */
export async function slotsOf({ client }: RedisNode): Promise<SlotRange[]> {
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

const SLOT_WORDS = ['MOVED ', 'CLUSTERDOWN ', 'ASK ', 'TRYAGAIN '];

/** Whether a cluster node reports that the slot of a key is elsewhere, is moving, or is not served. */
export function isAboutSlot(error: unknown): boolean {
  return error instanceof Error && SLOT_WORDS.some((word) => error.message.startsWith(word));
}
