import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';

const PORT = /:\d{0,5}$/;

/**
 * Reads an IP address as written by a proxy or the operating system: `203.0.113.7`, `203.0.113.7:51234`,
 * `[2001:db8::7]:443`, quoted as in RFC 7239. Port, brackets and zone are removed; an IPv4-mapped IPv6 address
 * becomes IPv4.
 * @returns null if the text contains no address, such as `unknown`
 */
export function readAddress(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (isIPv4(text)) return text;
  const trimmed = text.trim().replace(/^"(.*)"$/, '$1');
  // Tries the text without removing a port first: `2001:db8::7:443` is an address without a port.
  for (const candidate of [trimmed, trimmed.replace(PORT, '')]) {
    const bare = candidate.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '');
    if (isIP(bare)) return toIPv4(bare) ?? bare;
  }
  return null;
}

/** The eight groups of an IPv6 address, in lower case and without leading zeros. */
export function groupsOf(address: string): string[] {
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
    const [a, b, c, d] = bytes.map(Number) as [number, number, number, number];
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = [], tail] = hex.split('::').map((part) => part.split(':').filter(Boolean));
  const zeros = tail ? Array.from({ length: 8 - head.length - tail.length }, () => '0') : [];
  return [...head, ...zeros, ...(tail ?? [])].map((group) => parseInt(group, 16).toString(16));
}

/** The IPv4 address of an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2), in any spelling. */
function toIPv4(address: string): string | undefined {
  if (!isIPv6(address)) return undefined;
  const groups = groupsOf(address);
  if (groups.slice(0, 6).join(':') !== '0:0:0:0:0:ffff') return undefined;
  return groups
    .slice(6)
    .map((group) => parseInt(group, 16))
    .flatMap((number) => [number >> 8, number & 255])
    .join('.');
}

/** A list of addresses and networks such as `192.0.2.0/24`, to look addresses up in. */
export function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    list.addSubnet(address, Number(prefix ?? (family === 'ipv6' ? 128 : 32)), family);
  }
  return list;
}
