import { random } from '../common/random.js';

/** 16 bytes of the session's id, then 16 of chance, in base64url. */
export const TOKEN_ID = /^[\w-]{43}$/;

/** A `jti` (RFC 7519 4.1.7) that says which session it belongs to, so that whoever denies it need not search. */
export function mintTokenId(sessionId: string): string {
  return Buffer.concat([Buffer.from(sessionId.replaceAll('-', ''), 'hex'), random.bytes(16)]).toString(
    'base64url',
  );
}

/** The session that a `jti` names, whether or not there is one. */
export function sessionOfTokenId(tokenId: string): string {
  const hex = Buffer.from(tokenId, 'base64url').toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}
