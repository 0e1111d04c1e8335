import { sign as signBytes, type KeyObject } from 'node:crypto';
import { TEST_KEYS } from './app.js';

type Json = Record<string, unknown>;

/** base64url of the JSON of a value, or of a text as it stands. */
export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** The content of a token, without a check of the signature. */
export function read(token: string): { header: Json; claims: Json } {
  const [header = '', claims = ''] = token.split('.');
  const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Json;
  return { header: parse(header), claims: parse(claims) };
}

/**
 * A token with a valid signature: like one by the holder of the key, or one that a bug could let through. Texts in
 * the place of header and claims are signed unchanged.
 */
export function signed(header: unknown, claims: unknown, key = TEST_KEYS.signing[0]!.privateKey): string {
  const content = `${encode(header)}.${encode(claims)}`;
  return `${content}.${signatureOf(content, key)}`;
}

export function signatureOf(content: string, key: KeyObject): string {
  return signBytes('sha256', Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
}

/** Our own header. */
export const HEADER = { alg: 'ES256', typ: 'at+jwt', kid: TEST_KEYS.signing[0]!.kid };
