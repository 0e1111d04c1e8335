import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { authoritiesOf, wantsTls, type StoreTls } from '../config/store-tls.js';

/** What every connection to PostgreSQL is made of. Where `STORE_TLS` wants nothing, what the URL says is done (`sslmode`). */
export function connectionTo(url: string, tls: StoreTls) {
  if (!wantsTls(url, tls)) return { connectionString: url };
  const { hostname, searchParams } = new URL(url);
  const host = searchParams.get('host') ?? hostname;
  return {
    connectionString: url,
    ssl: {
      ca: authoritiesOf(tls),
      rejectUnauthorized: true,
      // The driver names a host to TLS only when it is no address.
      checkServerIdentity: (_: string, certificate: PeerCertificate) =>
        checkServerIdentity(host, certificate),
    },
  };
}

/** The server has no TLS, or a certificate that does not hold. */
export function isAboutTls({ message, code = '' }: Error & { code?: string }): boolean {
  return /does not support SSL/.test(message) || /CERT|UNABLE_TO_(VERIFY|GET_ISSUER)/.test(code);
}
