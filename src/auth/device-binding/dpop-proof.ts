import {
  calculateJwkThumbprint,
  compactVerify,
  importJWK,
  type CompactJWSHeaderParameters,
  type JWK,
} from 'jose';
import { z } from 'zod';
import { publicPart } from '../../sessions/binding/device-proof.js';

/** Of the keys in the secure hardware of phones and in browsers. `problem.ts` names it too. */
const ALGORITHMS = ['ES256'];
const MAX_LENGTH = 8_192;
/** One compact JWS. Node joins several headers of the same name by commas, which this excludes. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const Header = z.looseObject({
  typ: z.literal('dpop+jwt'),
  // A client that sends its private key has given it away (RFC 9449 4.3).
  jwk: z.looseObject({ kty: z.literal('EC'), x: z.string(), y: z.string(), d: z.undefined().optional() }),
});

const Claims = z.looseObject({
  jti: z.string().min(1).max(256),
  htm: z.string(),
  htu: z.string(),
  iat: z.number(),
  ath: z.string().optional(),
  nonce: z.string().optional(),
});

/** A proof whose signature is right. Nothing is known yet about its request, its age, and its uses. */
export interface DpopProof {
  claims: z.infer<typeof Claims>;
  /** The public key that verified the signature. */
  key: JWK;
  /** SHA-256 of the key, in base64url (RFC 7638). */
  thumbprint: string;
}

/**
 * Verifies the form and the signature of a `DPoP` header (RFC 9449 4.2).
 *
 * @returns null for every other text
 */
export async function readDpopProof(header: string): Promise<DpopProof | null> {
  if (header.length > MAX_LENGTH || !COMPACT.test(header)) return null;
  let key!: JWK;
  const keyOf = (protectedHeader: CompactJWSHeaderParameters) => {
    key = publicPart(Header.parse(protectedHeader).jwk as JWK);
    return importJWK(key, protectedHeader.alg);
  };
  try {
    const { payload } = await compactVerify(header, keyOf, { algorithms: ALGORITHMS });
    const text = new TextDecoder('utf-8', { fatal: true }).decode(payload);
    return { claims: Claims.parse(JSON.parse(text)), key, thumbprint: await calculateJwkThumbprint(key) };
  } catch {
    return null;
  }
}
