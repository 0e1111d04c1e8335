import ipaddr from 'ipaddr.js';
import { lookup } from 'node:dns/promises';

/**
 * Whether every address of the host of a URL is a public one. A document that describes an app is fetched from such a
 * host only, so that no stranger can make this server send requests into its own network (SSRF). The library checks the
 * address of the connection once more, because a name may resolve differently the next time.
 */
export async function hasPublicHost(url: string): Promise<boolean> {
  const { hostname } = new URL(url);
  const found = await lookup(hostname.replace(/^\[|\]$/g, ''), { all: true }).catch(() => []);
  return found.length > 0 && found.every(({ address }) => ipaddr.process(address).range() === 'unicast');
}
