import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { createClient } from 'redis';

const DEFAULT_PORT = 6_379;

export type Client = ReturnType<typeof clientFor>;
export type Pipeline = ReturnType<Client['multi']>;

/**
 * @param authorities trusted certificate authorities in PEM; by default those that Node knows
 * @param names the certificate must be for one of them; the preferred one comes first
 */
export function clientFor(url: string, authorities: string | undefined, names: () => string[]) {
  const tls = () => ({
    tls: true as const,
    ca: authorities,
    rejectUnauthorized: true,
    // A server with several certificates chooses one by this name. An IP address is not allowed here.
    servername: names().find((name) => isIP(bareHost(name)) === 0),
    checkServerIdentity: (_: string, certificate: PeerCertificate) => {
      const [refusal, ...others] = names().map((name) => checkServerIdentity(bareHost(name), certificate));
      return others.includes(undefined) ? undefined : refusal;
    },
  });
  return createClient({
    url,
    // While a server is down, commands are refused instead of queued: PostgreSQL answers meanwhile.
    disableOfflineQueue: true,
    commandsQueueMaxLength: 50_000,
    socket: {
      ...(url.startsWith('rediss:') && tls()),
      connectTimeout: 2_000,
      socketTimeout: 3_000,
      reconnectStrategy: (attempt: number) => Math.min(25 * 2 ** attempt, 1_000),
    },
  });
}

/** An IPv6 address without the brackets of a URL. */
export function bareHost(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}

export function addressOf(host: string, port: number | string): string {
  const isBareIpV6 = host.includes(':') && !host.startsWith('[');
  return `${isBareIpV6 ? `[${host}]` : host}:${port || DEFAULT_PORT}`;
}

/** The URL with a port, and with another address if there is one. */
export function urlOf(url: string, address?: string): string {
  const { hostname, port } = new URL(url);
  return Object.assign(new URL(url), { host: address ?? addressOf(hostname, port) }).href;
}
