import { random } from '../platform/runtime/random.js';
import type { Transport } from './session.entity.js';

/**
 * In base64url: 16 bytes of the session id, 111 random bits, one bit for the transport, 2 bytes of the session's
 * edition.
 */
export const TOKEN_ID = /^[\w-]{43}$/;
/** Editions are counted modulo this number. */
export const EDITIONS = 0x1_0000;
const EDITION_AT = 30;
const TRANSPORT_AT = 29;
const IS_BEARER = 0b1;

/**
 * A `jti` (RFC 7519 4.1.7). It contains the session id, so denying it needs no search. It also contains the edition
 * of the keys and the transport, because the access tier knows only the access token.
 */
export function mintTokenId(sessionId: string, edition = 0, transport: Transport = 'bearer'): string {
  const bytes = Buffer.alloc(EDITION_AT + 2);
  bytes.write(sessionId.replaceAll('-', ''), 0, 'hex');
  random.bytes(14).copy(bytes, 16);
  if (transport === 'bearer') bytes[TRANSPORT_AT]! |= IS_BEARER;
  else bytes[TRANSPORT_AT]! &= ~IS_BEARER;
  bytes.writeUInt16BE(edition, EDITION_AT);
  return bytes.toString('base64url');
}

/** The session id in a `jti`, whether or not that session exists. */
export function sessionOfTokenId(tokenId: string): string {
  const hex = Buffer.from(tokenId, 'base64url').toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}

/** The edition of the session's keys in a `jti`. */
export function editionOfTokenId(tokenId: string): number {
  return Buffer.from(tokenId, 'base64url').readUInt16BE(EDITION_AT);
}

/** The transport in a `jti`. */
export function transportOfTokenId(tokenId: string): Transport {
  return Buffer.from(tokenId, 'base64url')[TRANSPORT_AT]! & IS_BEARER ? 'bearer' : 'cookie';
}
