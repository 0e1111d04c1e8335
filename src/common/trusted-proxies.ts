import type { IncomingHttpHeaders } from 'node:http';
import { BlockList, isIPv6 } from 'node:net';
import { boundedMap } from './bounded-map.js';
import { readAddress } from './ip-address.js';

interface Received {
  headers: IncomingHttpHeaders;
  socket: { remoteAddress?: string | undefined };
}

/** Proxies and clients that come back: their addresses are looked up once. */
const REMEMBERED = 10_000;

/** What a request says about its way, as far as proxies of `TRUSTED_PROXIES` wrote it. */
export class TrustedProxies {
  private readonly networks = new BlockList();
  private readonly verdicts = boundedMap<'trusted' | 'other'>(REMEMBERED);

  /** @param proxies addresses and networks */
  constructor(private readonly proxies: readonly string[]) {
    for (const proxy of proxies) {
      const [address = '', prefix] = proxy.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      this.networks.addSubnet(address, Number(prefix ?? (family === 'ipv6' ? 128 : 32)), family);
    }
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

  /** Whether a trusted proxy sent the request itself, so that headers that only one proxy writes count. */
  sent({ socket }: Received): boolean {
    return this.includes(readAddress(socket.remoteAddress));
  }

  /**
   * Follows `X-Forwarded-For` from the last proxy backwards, for as long as each sender is trusted. An element that names no address
   * ends the way: the client is then the proxy that wrote the element, because everything before it could be invented.
   * @returns null when the connection is gone
   */
  clientOf(request: Received): string | null {
    return this.wayOf(request).client;
  }

  /**
   * Whether the client reached the first trusted proxy over plain HTTP, by `X-Forwarded-Proto`. Where this header has as many
   * elements as `X-Forwarded-For`, the element beside the client's address counts; else the first one.
   */
  isPlainHttp(request: Received): boolean {
    const header = request.headers['x-forwarded-proto'];
    if (header === undefined || header === 'https' || !this.sent(request)) return false;
    const protocols = String(header).split(',');
    const isParallel = protocols.length === forwardedFor(request).split(',').length;
    const protocol = isParallel ? protocols.at(-Math.max(1, this.wayOf(request).hops)) : protocols[0];
    return PLAIN_PROTOCOLS.has(protocol!.trim().toLowerCase());
  }

  /** The client, and how many elements of `X-Forwarded-For` were followed to it. */
  private wayOf(request: Received): { client: string | null; hops: number } {
    let client = readAddress(request.socket.remoteAddress);
    let hops = 0;
    const elements = forwardedFor(request);
    for (let end = elements.length; end > 0 && this.includes(client);) {
      const start = elements.lastIndexOf(',', end - 1) + 1;
      const element = elements.slice(start, end).trim();
      end = start - 1;
      // Empty elements of a list mean nothing (RFC 9110 5.6.1).
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
