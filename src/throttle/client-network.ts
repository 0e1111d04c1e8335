import { isIPv4 } from 'node:net';
import { groupsOf, readAddress } from '../common/ip-address.js';

/**
 * What counts as one client: an IPv4 address, or the /64 that an IPv6 customer has at the least and can
 * take 2^64 addresses from. Clients whose connection is already gone have no address, and are one client together.
 */
export function networkOf(address: string | null): string {
  const plain = readAddress(address ?? undefined);
  if (plain === null) return 'unknown';
  return isIPv4(plain) ? plain : `${groupsOf(plain).slice(0, 4).join(':')}::/64`;
}
