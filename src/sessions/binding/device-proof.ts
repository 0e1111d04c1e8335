import { compactVerify, importJWK, type CompactJWSHeaderParameters, type JWK } from 'jose';
import { z } from 'zod';

/** The algorithms of hardware keys of browsers (W3C DBSC). Chromium uses RS256 where a TPM has no elliptic curves. */
export const DEVICE_KEY_ALGORITHMS = ['ES256', 'RS256'];

const MAX_LENGTH = 8_192;
const Payload = z.looseObject({ jti: z.string().min(1).max(512) });

export interface DeviceProof {
  /** The challenge that the device has signed. */
  challenge: string;
  /** The public key that verified the signature. */
  key: JWK;
}

/**
 * Verifies the `Secure-Session-Response` of a browser: a JWT of the type `dbsc+jwt`. It may have an `aud`, which is not
 * needed: the challenge belongs to one session of this server.
 *
 * @param jwt as in the header, possibly as a quoted string of a structured field (RFC 9651 3.3.3)
 * @param key the key of the session; null accepts the key that the proof contains, for a registration
 * @returns null for every other text
 */
export async function verifyDeviceProof(jwt: string, key: JWK | null): Promise<DeviceProof | null> {
  if (jwt.length > MAX_LENGTH) return null;
  let used = key;
  const keyOf = ({ typ, alg, jwk }: CompactJWSHeaderParameters) => {
    if (typ !== 'dbsc+jwt') throw new TypeError('not a proof of a browser');
    used ??= publicPart(jwk!);
    return importJWK(used, alg);
  };
  try {
    const { payload } = await compactVerify(jwt.replace(/^"(.*)"$/, '$1'), keyOf, {
      algorithms: DEVICE_KEY_ALGORITHMS,
    });
    const { jti } = Payload.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)));
    return { challenge: jti, key: used! };
  } catch {
    return null;
  }
}

/** The members that make the key (RFC 7638 3.2). A client cannot store anything else with its session. */
export function publicPart({ kty, crv, x, y, n, e }: JWK): JWK {
  return kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y };
}
