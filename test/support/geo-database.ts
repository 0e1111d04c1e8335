import { writeFile } from 'node:fs/promises';

/** The record of an address, as in the databases of MaxMind (`country.iso_code`, `location`) and others. */
export type GeoEntry = Record<string, unknown>;
type Trie = [Trie | Leaf | null, Trie | Leaf | null];
interface Leaf {
  offset: number;
}

/**
 * Writes a database in MaxMind's format (https://maxmind.github.io/MaxMind-DB/, version 2.0) of IPv4 networks,
 * such as `['192.0.2.0/24', { country: { iso_code: 'AT' } }]`.
 */
export async function writeGeoDatabase(path: string, networks: [string, GeoEntry][]): Promise<void> {
  const data: Buffer[] = [];
  let length = 0;
  const root: Trie = [null, null];
  for (const [network, entry] of networks) {
    const encoded = encode(entry);
    insert(root, bitsOf(network), { offset: length });
    data.push(encoded);
    length += encoded.length;
  }
  const nodes = nodesOf(root);
  const tree = Buffer.concat(nodes.map((node) => record(node, nodes)));
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_700_000_000,
    database_type: 'Drawbridge-Test',
    description: {},
    ip_version: 6,
    languages: [],
    node_count: nodes.length,
    record_size: 24,
  });
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
  await writeFile(path, Buffer.concat([tree, Buffer.alloc(16), ...data, marker, metadata]));
}

/** IPv4 lives in `::/96`. */
function bitsOf(network: string): string {
  const [address, prefix] = network.split('/') as [string, string];
  const bits = address.split('.').map((byte) => Number(byte).toString(2).padStart(8, '0'));
  return '0'.repeat(96) + bits.join('').slice(0, Number(prefix));
}

function insert(root: Trie, bits: string, leaf: Leaf): void {
  let node = root;
  for (const bit of bits.slice(0, -1)) node = (node[Number(bit)] ??= [null, null]) as Trie;
  node[Number(bits.at(-1))] = leaf;
}

function nodesOf(root: Trie): Trie[] {
  const nodes = [root];
  for (const node of nodes) nodes.push(...node.filter((side): side is Trie => Array.isArray(side)));
  return nodes;
}

function record(node: Trie, nodes: Trie[]): Buffer {
  const bytes = Buffer.alloc(6);
  node.forEach((side, index) => {
    const value =
      side === null
        ? nodes.length
        : Array.isArray(side)
          ? nodes.indexOf(side)
          : nodes.length + 16 + side.offset;
    bytes.writeUIntBE(value, index * 3, 3);
  });
  return bytes;
}

const [TEXT, DOUBLE, UINT32, MAP, ARRAY] = [2, 3, 6, 7, 11];

function encode(value: unknown): Buffer {
  if (typeof value === 'string')
    return Buffer.concat([control(TEXT, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Array.isArray(value)) return Buffer.concat([control(ARRAY, value.length), ...value.map(encode)]);
  if (typeof value === 'object') {
    const entries = Object.entries(value as object);
    return Buffer.concat([control(MAP, entries.length), ...entries.flat().map(encode)]);
  }
  const number = value as number;
  const isCount = Number.isInteger(number) && number >= 0;
  const bytes = Buffer.alloc(isCount ? 4 : 8);
  if (isCount) bytes.writeUInt32BE(number);
  else bytes.writeDoubleBE(number);
  return Buffer.concat([control(isCount ? UINT32 : DOUBLE, bytes.length), bytes]);
}

/** The longest value has 28 bytes. */
function control(type: number, size: number): Buffer {
  return type > 7 ? Buffer.from([size, type - 7]) : Buffer.from([(type << 5) | size]);
}
