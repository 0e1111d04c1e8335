import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { authoritiesOf, wantsTls, type StoreTls } from '../../settings/store-tls.js';

/**
 * The options of every connection to PostgreSQL. If `STORE_TLS` does not require TLS, the URL decides (`sslmode`).
 */
export function connectionTo(url: string, tls: StoreTls) {
  if (!wantsTls(url, tls)) return { connectionString: url };
  const { hostname, searchParams } = new URL(url);
  const host = searchParams.get('host') ?? hostname;
  return {
    connectionString: url,
    ssl: {
      ca: authoritiesOf(tls),
      rejectUnauthorized: true,
      // The driver passes a host name to TLS only if it is not an IP address.
      checkServerIdentity: (_: string, certificate: PeerCertificate) =>
        checkServerIdentity(host, certificate),
    },
  };
}

/** Whether the server has no TLS, or a certificate that cannot be verified. */
export function isAboutTls({ message, code = '' }: Error & { code?: string }): boolean {
  return /does not support SSL/.test(message) || /CERT|UNABLE_TO_(VERIFY|GET_ISSUER)/.test(code);
}
