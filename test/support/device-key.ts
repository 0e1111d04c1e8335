import { expect } from '@jest/globals';
import { CompactSign, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose';
import type { Answer, Client } from './client.js';

const textOf = (header: unknown): string => (typeof header === 'string' ? header : '');

/** The part of a browser that implements Device Bound Session Credentials: a key, registrations and renewals. */
export class DeviceKey {
  private constructor(
    private readonly privateKey: CryptoKey,
    readonly jwk: JWK,
    readonly alg: string,
  ) {}

  static async create(alg = 'ES256'): Promise<DeviceKey> {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    return new DeviceKey(privateKey, await exportJWK(publicKey), alg);
  }

  /** A proof of this key. */
  sign(challenge: string, { withKey = false, header = {}, payload = {} } = {}): Promise<string> {
    const claims = new TextEncoder().encode(JSON.stringify({ jti: challenge, ...payload }));
    const protectedHeader = { alg: this.alg, typ: 'dbsc+jwt', ...(withKey && { jwk: this.jwk }), ...header };
    return new CompactSign(claims).setProtectedHeader(protectedHeader).sign(this.privateKey);
  }

  /** Answers the offer of a login, refresh or step-up. */
  async register(client: Client, offer: Answer, options: object = {}): Promise<Answer> {
    const proof = await this.sign(offeredChallenge(offer), { withKey: true, ...options });
    return client.post('/v1/auth/binding/register', undefined, {
      headers: { 'secure-session-response': proof },
    });
  }

  /** Renews the bound cookie: asks for a challenge, and signs it. */
  async renew(client: Client, sessionId: string): Promise<Answer> {
    const asked = await renewal(client, sessionId);
    if (asked.status !== 403) return asked;
    return renewal(client, sessionId, await this.sign(challengeIn(asked)));
  }
}

/** One request of a browser that wants a new bound cookie. */
export function renewal(client: Client, sessionId: string, proof?: string): Promise<Answer> {
  return client.post('/v1/auth/binding/refresh', undefined, {
    headers: { 'sec-secure-session-id': sessionId, ...(proof && { 'secure-session-response': proof }) },
  });
}

/** The challenge of an answer that offers a binding. */
export function offeredChallenge({ headers }: Answer): string {
  const offer = textOf(headers['secure-session-registration']);
  expect(offer).toMatch(/^\(ES256 RS256\);path="\/v1\/auth\/binding\/register";challenge="[\w-]+"$/);
  return /challenge="([^"]+)"/.exec(offer)![1]!;
}

/** The challenge of an answer to a renewal. */
export function challengeIn({ headers }: Answer): string {
  return /^"([\w-]+)";id="[\w-]+"$/.exec(textOf(headers['secure-session-challenge']))![1]!;
}
