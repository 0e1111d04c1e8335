import { isIPv4 } from 'node:net';
import { groupsOf, readAddress } from '../http/ip-address.js';

/**
 * The network that counts as one client: an IPv4 address, or an IPv6 /64. An IPv6 customer has at least a /64, and
 * can use its 2^64 addresses. Clients whose connection is already closed have no address; they count as one client
 * together.
 */
export function networkOf(address: string | null): string {
  const plain = readAddress(address ?? undefined);
  if (plain === null) return 'unknown';
  return isIPv4(plain) ? plain : `${groupsOf(plain).slice(0, 4).join(':')}::/64`;
}
