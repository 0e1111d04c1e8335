import { random } from '../platform/runtime/random.js';
import type { Transport } from './session.entity.js';

/**
 * In base64url: 16 bytes of the session id, 111 random bits, one bit for the transport, one bit for the key, 15 bits of
 * the session's key version. The bit for the key was the first one of the key version, so it is 0 in the tokens of
 * releases that did not know it.
 */
export const TOKEN_ID = /^[\w-]{43}$/;
/** Key versions are counted modulo this number. */
export const KEY_VERSIONS = 0x8000;
const TRANSPORT_AT = 29;
const IS_BEARER = 0b1;
const KEY_VERSION_AT = 30;
const NEEDS_KEY = KEY_VERSIONS;

/** The properties of a session that the access tier needs. It knows them from the token alone. */
export interface TokenTraits {
  transport: Transport;
  /** Whether the token is worth nothing without a proof of the device key, see `binding/session-binding.ts`. */
  needsKey: boolean;
}

/**
 * A `jti` (RFC 7519 4.1.7). It contains the session id, so denying it needs no search. It also contains the version
 * of the keys and the traits, because the access tier knows only the access token.
 */
export function mintTokenId(
  sessionId: string,
  keyVersion = 0,
  { transport = 'bearer', needsKey = false }: Partial<TokenTraits> = {},
): string {
  const bytes = Buffer.alloc(KEY_VERSION_AT + 2);
  bytes.write(sessionId.replaceAll('-', ''), 0, 'hex');
  random.bytes(14).copy(bytes, 16);
  if (transport === 'bearer') bytes[TRANSPORT_AT]! |= IS_BEARER;
  else bytes[TRANSPORT_AT]! &= ~IS_BEARER;
  bytes.writeUInt16BE(keyVersion | (needsKey ? NEEDS_KEY : 0), KEY_VERSION_AT);
  return bytes.toString('base64url');
}

/** The session id in a `jti`, whether or not that session exists. */
export function sessionOfTokenId(tokenId: string): string {
  const hex = Buffer.from(tokenId, 'base64url').toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}

/** The key version in a `jti`. */
export function keyVersionOfTokenId(tokenId: string): number {
  return Buffer.from(tokenId, 'base64url').readUInt16BE(KEY_VERSION_AT) % KEY_VERSIONS;
}

/** The traits in a `jti`. */
export function traitsOfTokenId(tokenId: string): TokenTraits {
  const bytes = Buffer.from(tokenId, 'base64url');
  return {
    transport: bytes[TRANSPORT_AT]! & IS_BEARER ? 'bearer' : 'cookie',
    needsKey: bytes.readUInt16BE(KEY_VERSION_AT) >= NEEDS_KEY,
  };
}
