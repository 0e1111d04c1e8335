import { Injectable } from '@nestjs/common';
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Keys, SigningKey } from '../../platform/keys/key-format.js';
import { inUse, isGood } from '../../platform/keys/key-schedule.js';
import { KeyStore } from '../../platform/keys/key-store.js';

/** A public signing key as published (RFC 7517 4): exactly these members. */
export interface PublicJwk {
  kty: string;
  crv: string;
  x: string;
  y: string;
  kid: string;
  alg: 'ES256';
  use: 'sig';
}

interface Verifier {
  key: KeyObject;
  jwk: PublicJwk;
  retiresAt: number;
}

/**
 * The keys of access tokens, parsed once after each change. Parsing a key costs ten times as much as a verification.
 */
@Injectable()
export class KeyRing {
  private readFrom: Keys | null = null;
  private verifiers = new Map<string, Verifier>();
  private retired = new Set<string>();

  constructor(private readonly store: KeyStore) {}

  /**
   * The key that signs at this time.
   * @param now ms since the epoch
   */
  signer(now: number): SigningKey {
    return inUse(this.store.current.signing, now);
  }

  /** Looks a key up, only in memory (RFC 8725 3.10). It returns the same object as long as the key is the same. */
  verifier(kid: string, now: number): KeyObject | undefined {
    const found = this.read().get(kid);
    return found && isGood(found, now) ? found.key : undefined;
  }

  /** Whether the kid was one of ours. It does not show who signed a token that names it. */
  hasRetired(kid: string, now: number): boolean {
    const found = this.read().get(kid);
    return found ? !isGood(found, now) : this.retired.has(kid);
  }

  /**
   * The keys of the JWKS: the next signing key, so that all verifiers know it in time, the current one, and those
   * that still verify.
   */
  published(now: number): PublicJwk[] {
    return [...this.read().values()].filter((verifier) => isGood(verifier, now)).map(({ jwk }) => jwk);
  }

  private read(): Map<string, Verifier> {
    const keys = this.store.current;
    if (keys === this.readFrom) return this.verifiers;
    const before = this.verifiers;
    this.verifiers = new Map(keys.signing.map((key) => [key.kid, verifierOf(key, before.get(key.kid))]));
    this.retired = new Set(keys.retiredKids);
    this.readFrom = keys;
    return this.verifiers;
  }
}

function verifierOf({ kid, privateKey, retiresAt = Infinity }: SigningKey, before?: Verifier): Verifier {
  const key = createPublicKey(privateKey);
  const isSame = before?.key.equals(key);
  return { key: isSame ? before!.key : key, jwk: publicJwk(kid, key), retiresAt };
}

function publicJwk(kid: string, key: KeyObject): PublicJwk {
  const { kty, crv, x, y } = key.export({ format: 'jwk' });
  return { kty: kty!, crv: crv!, x: x!, y: y!, kid, alg: 'ES256', use: 'sig' };
}
