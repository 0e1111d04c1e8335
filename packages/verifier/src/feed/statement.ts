import { decodeJws, isSignedBy } from '../jws.js';
import type { KeySet } from '../key-set.js';

/** The `typ` of a signed statement. */
export type StatementType = 'revocation-heartbeat+jwt' | 'revocation-snapshot+jwt';

/** The facts that an instance of the application vouches for. */
export interface FeedFacts {
  instance: string;
  position: number;
  /** In base64url: the SHA-256 chain over all events up to the position. */
  chain: string;
  /** Every revocation that had committed by then is included. Milliseconds since the epoch. */
  time: number;
  /** Every revocation up to this number is included. */
  seq: number;
  /** Of a snapshot: the SHA-256 of its entries, in base64url. */
  digest?: string;
}

const DIGEST = /^[\w-]{43}$/;
const INSTANCE = /^[\w-]{1,64}$/;

/**
 * The facts of a statement, if the application has signed it.
 *
 * @returns null if it is not authentic, or if its key is new and the application cannot be asked for it
 */
export async function verifyStatement(
  text: string,
  typ: StatementType,
  { keys, issuer }: { keys: KeySet; issuer: string },
): Promise<FeedFacts | null> {
  const decoded = decodeJws(text, typ);
  if (!decoded || decoded.claims['iss'] !== issuer) return null;
  const key = await keys.find(decoded.kid);
  if (typeof key === 'string' || !isSignedBy(decoded, key)) return null;
  return factsIn(decoded.claims, typ);
}

function factsIn(claims: Record<string, unknown>, typ: StatementType): FeedFacts | null {
  const { instance, position, chain, time, seq, digest } = claims;
  const isComplete =
    isText(instance, INSTANCE) &&
    isText(chain, DIGEST) &&
    isCount(position) &&
    isCount(seq) &&
    typeof time === 'number' &&
    Number.isFinite(time) &&
    (typ === 'revocation-heartbeat+jwt' || isText(digest, DIGEST));
  return isComplete ? (claims as unknown as FeedFacts) : null;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isText(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value);
}
