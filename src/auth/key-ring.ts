import { Inject, Injectable } from '@nestjs/common';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { KEYS, type Keys, type SigningKey } from '../config/key-file.js';

/** A public signing key as published (RFC 7517 4): these members and no others. */
export interface PublicJwk {
  kty: string;
  crv: string;
  x: string;
  y: string;
  kid: string;
  alg: 'ES256';
  use: 'sig';
}

/** The keys of access tokens, parsed once: a PEM would be parsed again on each use, at ten times the cost. */
@Injectable()
export class KeyRing {
  readonly signer: SigningKey;
  readonly jwks: { keys: PublicJwk[] };
  private readonly verifiers: Map<string, KeyObject>;

  constructor(@Inject(KEYS) { signing }: Keys) {
    this.signer = signing[0]!;
    this.verifiers = new Map(signing.map(({ kid, privateKey }) => [kid, createPublicKey(privateKey)]));
    this.jwks = { keys: [...this.verifiers].map(([kid, key]) => publicJwk(kid, key)) };
  }

  /** Looked up in memory and nowhere else (RFC 8725 3.10). */
  verifier(kid: string): KeyObject | undefined {
    return this.verifiers.get(kid);
  }
}

function publicJwk(kid: string, key: KeyObject): PublicJwk {
  const { kty, crv, x, y } = key.export({ format: 'jwk' });
  return { kty: kty!, crv: crv!, x: x!, y: y!, kid, alg: 'ES256', use: 'sig' };
}
