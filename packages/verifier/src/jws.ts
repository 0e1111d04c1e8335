import { verify, type KeyObject } from 'node:crypto';

/** Maximum length in characters. The application's tokens have about 500. */
const MAX_LENGTH = 4_096;
const GRAMMAR = /^[\w-]+\.[\w-]+\.[\w-]{86}$/;

/** A compact JWS (RFC 7515) whose signature is not yet verified. */
export interface DecodedJws {
  kid: string;
  claims: Record<string, unknown>;
  /** The signed bytes. */
  content: Buffer;
  signature: Buffer;
}

/**
 * The strict check before any cryptography: length, alphabet, canonical base64url, UTF-8, one spelling of the JSON, and
 * exactly the header `{alg: "ES256", typ, kid}`.
 *
 * @returns null for a text that the application cannot have signed; it never throws
 */
export function decodeJws(text: string, typ: string): DecodedJws | null {
  if (text.length > MAX_LENGTH || !GRAMMAR.test(text)) return null;
  const [headerText = '', claimsText = '', signatureText = ''] = text.split('.');
  const header = decodeJson(headerText);
  const claims = decodeJson(claimsText);
  const signature = decode(signatureText);
  if (!isObject(header) || !isObject(claims) || !signature) return null;
  const { alg, typ: kind, kid } = header;
  const isExact = Object.keys(header).length === 3 && alg === 'ES256' && kind === typ;
  if (!isExact || typeof kid !== 'string' || !/^[\w-]{1,64}$/.test(kid)) return null;
  return { kid, claims, content: Buffer.from(`${headerText}.${claimsText}`, 'latin1'), signature };
}

/** Whether the key made the signature. */
export function isSignedBy({ content, signature }: DecodedJws, key: KeyObject): boolean {
  return verify('sha256', content, key, derOf(signature));
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Accepts only one spelling: unused trailing bits must be zero (RFC 4648 3.5). */
function decode(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Accepts only the spelling that the application writes, so no duplicate names: parsers disagree about them. */
function decodeJson(text: string): unknown {
  const bytes = decode(text);
  try {
    const json = bytes && utf8.decode(bytes);
    const value: unknown = json && JSON.parse(json);
    return JSON.stringify(value) === json ? value : null;
  } catch {
    return null;
  }
}

/**
 * The signature as OpenSSL reads it fastest: an ASN.1 sequence of two integers (RFC 3279 2.2.3). Node reads the form of
 * JOSE (`ieee-p1363`) in half as long again.
 */
function derOf(signature: Buffer): Buffer {
  const parts = [integerOf(signature.subarray(0, 32)), integerOf(signature.subarray(32))];
  const length = parts[0]!.length + parts[1]!.length;
  return Buffer.concat([Buffer.from([0x30, length]), ...parts]);
}

function integerOf(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const isNegative = bytes[start]! >= 0x80;
  const digits = bytes.subarray(start);
  const prefix = isNegative ? [0x02, digits.length + 1, 0] : [0x02, digits.length];
  return Buffer.concat([Buffer.from(prefix), digits]);
}
