import { createHmac, timingSafeEqual } from 'node:crypto';
import { deriveKey } from '../../platform/runtime/derive-key.js';
import { PRODUCT } from '../../product.js';
import type { RefreshPosition } from './rotation.js';

const VERSION = 1;
const HEADER_BYTES = 1 + 16 + 4 + 2; // version ‖ session id ‖ generation ‖ sibling
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
  return createHmac('sha256', keyOf(secret, nonce)).update(header).digest();
}

/**
 * A refresh verifies one token and mints another. The key is derived once for as long as the nonce object is in
 * memory.
 */
const derived = new WeakMap<Buffer, WeakMap<Buffer, Buffer>>();

/**
 * The key belongs to one session: a new nonce invalidates every refresh token of the session.
 */
function keyOf(secret: Buffer, nonce: Buffer): Buffer {
  let keys = derived.get(nonce);
  if (!keys) derived.set(nonce, (keys = new WeakMap()));
  let key = keys.get(secret);
  if (!key)
    keys.set(secret, (key = deriveKey(secret, { salt: nonce, purpose: PRODUCT.keyPurpose.refreshToken })));
  return key;
}

function toUuid(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
