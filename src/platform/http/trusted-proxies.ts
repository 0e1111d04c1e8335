import type { IncomingHttpHeaders } from 'node:http';
import { isIPv6, type BlockList } from 'node:net';
import { boundedMap } from '../performance/bounded-map.js';
import { blockListOf, readAddress } from './ip-address.js';

interface Received {
  headers: IncomingHttpHeaders;
  socket: { remoteAddress?: string | undefined };
}

/** Number of cached addresses. Proxies and clients return, so each address is looked up once. */
const REMEMBERED = 10_000;

/** Client address and protocol of a request, from headers that proxies of `TRUSTED_PROXIES` wrote. */
export class TrustedProxies {
  private readonly networks: BlockList;
  private readonly verdicts = boundedMap<'trusted' | 'other'>(REMEMBERED);

  /** @param proxies addresses and networks */
  constructor(private readonly proxies: readonly string[]) {
    this.networks = blockListOf(proxies);
  }

  /** @param address as {@link readAddress} returns it */
  includes(address: string | null): boolean {
    if (address === null || this.proxies.length === 0) return false;
    let verdict = this.verdicts.get(address);
    if (verdict === undefined) {
      verdict = this.networks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') ? 'trusted' : 'other';
      this.verdicts.set(address, verdict);
    }
    return verdict === 'trusted';
  }

  /** Whether a trusted proxy sent the request itself, so that headers of a single proxy may be used. */
  sent({ socket }: Received): boolean {
    return this.includes(readAddress(socket.remoteAddress));
  }

  /**
   * Follows `X-Forwarded-For` from the last proxy backwards, as long as each sender is trusted. It stops at an
   * element without an address: the client is then the proxy that wrote it, because everything before could be
   * forged.
   * @returns null if the connection is closed
   */
  clientOf(request: Received): string | null {
    return this.wayOf(request).client;
  }

  /**
   * Whether the client reached the first trusted proxy over plain HTTP, by `X-Forwarded-Proto`. If this header has as
   * many elements as `X-Forwarded-For`, the element of the client's address counts, otherwise the first one.
   */
  isPlainHttp(request: Received): boolean {
    const header = request.headers['x-forwarded-proto'];
    if (header === undefined || header === 'https' || !this.sent(request)) return false;
    const protocols = String(header).split(',');
    const isParallel = protocols.length === forwardedFor(request).split(',').length;
    const protocol = isParallel ? protocols.at(-Math.max(1, this.wayOf(request).hops)) : protocols[0];
    return PLAIN_PROTOCOLS.has(protocol!.trim().toLowerCase());
  }

  /** The client, and the number of `X-Forwarded-For` elements that led to it. */
  private wayOf(request: Received): { client: string | null; hops: number } {
    let client = readAddress(request.socket.remoteAddress);
    let hops = 0;
    const elements = forwardedFor(request);
    for (let end = elements.length; end > 0 && this.includes(client);) {
      const start = elements.lastIndexOf(',', end - 1) + 1;
      const element = elements.slice(start, end).trim();
      end = start - 1;
      // Empty elements of a list are ignored (RFC 9110 5.6.1).
      if (element === '') continue;
      const address = readAddress(element);
      if (address === null) break;
      client = address;
      hops += 1;
    }
    return { client, hops };
  }
}

const PLAIN_PROTOCOLS = new Set(['http', 'ws']);

/** Node.js joins the lines of the header. */
function forwardedFor({ headers }: Received): string {
  return String(headers['x-forwarded-for'] ?? '');
}
