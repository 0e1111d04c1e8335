import { createHmac, timingSafeEqual } from 'node:crypto';
import type { RefreshPosition } from './rotation.js';
import { PRODUCT } from '../../product.js';

const VERSION = 1;
const HEADER_BYTES = 1 + 16 + 4 + 2; // version ‖ session id ‖ generation ‖ sibling
/** The HKDF info, followed by the number of the only block of output. */
const KEY_PURPOSE = `${PRODUCT.keyPurpose.refreshToken}\x01`;
const SHAPE = /^[A-Za-z0-9_-]{74}$/; // 55 bytes in base64url

export interface RefreshTokenClaims extends RefreshPosition {
  /** The session's id: a UUID in lower case. */
  sessionId: string;
}

export interface ParsedRefreshToken extends RefreshTokenClaims {
  mac: Buffer;
}

/**
 * Parses a token without verifying it; only {@link verifyRefreshToken} shows that this server minted it. Each token
 * has exactly one accepted spelling.
 *
 * @returns null for any other text
 */
export function parseRefreshToken(text: string): ParsedRefreshToken | null {
  if (!SHAPE.test(text)) return null;
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text || bytes[0] !== VERSION) return null;
  return {
    sessionId: toUuid(bytes.subarray(1, 17)),
    generation: bytes.readUInt32BE(17),
    sibling: bytes.readUInt16BE(21),
    mac: bytes.subarray(HEADER_BYTES),
  };
}

/**
 * Mints a refresh token. The same claims always give the same token, so the server can repeat a response without a
 * store. An attacker who reads the database cannot mint a token, because the secret is not in the database.
 *
 * @throws RangeError when the claims do not fit the encoding
 */
export function mintRefreshToken({
  secret,
  nonce,
  ...claims
}: RefreshTokenClaims & { secret: Buffer; nonce: Buffer }): string {
  const header = encodeHeader(claims);
  return Buffer.concat([header, authenticate(header, secret, nonce)]).toString('base64url');
}

/**
 * Whether one of the secrets minted this token for the session with this nonce. Does not say whether the token is
 * still valid.
 */
export function verifyRefreshToken(
  { mac, ...claims }: ParsedRefreshToken,
  { secrets, nonce }: { secrets: readonly Buffer[]; nonce: Buffer },
): boolean {
  const header = encodeHeader(claims);
  return secrets.some((secret) => timingSafeEqual(mac, authenticate(header, secret, nonce)));
}

function encodeHeader({ sessionId, generation, sibling }: RefreshTokenClaims): Buffer {
  const id = Buffer.from(sessionId.replaceAll('-', ''), 'hex');
  if (id.length !== 16) throw new RangeError('a session id is a UUID');
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(VERSION, 0);
  id.copy(header, 1);
  header.writeUInt32BE(generation, 17);
  header.writeUInt16BE(sibling, 21);
  return header;
}

function authenticate(header: Buffer, secret: Buffer, nonce: Buffer): Buffer {
  return hmac(keyOf(secret, nonce), header);
}

function hmac(key: Buffer, content: Buffer | string): Buffer {
  return createHmac('sha256', key).update(content).digest();
}

/**
 * A refresh verifies one token and mints another. The key is derived once for as long as the nonce object is in
 * memory.
 */
const derived = new WeakMap<Buffer, WeakMap<Buffer, Buffer>>();

/**
 * The key belongs to one session: a new nonce invalidates every refresh token of the session. This is HKDF (RFC 5869)
 * with extract and one block of expand. OpenSSL's own HKDF takes three times as long to set up.
 */
function keyOf(secret: Buffer, nonce: Buffer): Buffer {
  let keys = derived.get(nonce);
  if (!keys) derived.set(nonce, (keys = new WeakMap()));
  let key = keys.get(secret);
  if (!key) keys.set(secret, (key = hmac(hmac(nonce, secret), KEY_PURPOSE)));
  return key;
}

function toUuid(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
