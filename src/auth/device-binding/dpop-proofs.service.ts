import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { JWK } from 'jose';
import { createHash } from 'node:crypto';
import { Problem } from '../../platform/api/problem.js';
import { Clock, MAX_CLOCK_OFFSET_MS } from '../../platform/runtime/clock.js';
import { Settings } from '../../platform/settings/settings.js';
import { UsedDeviceProofRepository } from '../../sessions/binding/used-device-proof.repository.js';
import '../guards/credentials.js';
import { OwnOrigins } from '../guards/own-origins.js';
import { DpopNonces } from './dpop-nonces.js';
import { readDpopProof, type DpopProof } from './dpop-proof.js';

/** How far the clock of a client may be off, in either direction. Beyond that, the client needs a nonce. */
const WINDOW_MS = 60_000;
/** Two instances may be off by this much, in opposite directions. */
const CLOCKS_DIFFER_MS = 2 * MAX_CLOCK_OFFSET_MS;

/** Verifies the `DPoP` header of a request (RFC 9449): the client has the private key, and signed this request now. */
@Injectable()
export class DpopProofs {
  private readonly ownOrigins: OwnOrigins;

  constructor(
    private readonly nonces: DpopNonces,
    private readonly used: UsedDeviceProofRepository,
    private readonly clock: Clock,
    settings: Settings,
  ) {
    this.ownOrigins = new OwnOrigins(settings);
  }

  /**
   * Verifies a proof, and uses it up on all instances.
   *
   * @returns the public key of the client
   * @throws Problem `auth.invalid_dpop_proof`, and `auth.dpop_nonce_required` with a nonce for the next proof
   * @throws Error if PostgreSQL is unavailable, which is answered by 503
   */
  async verify(header: string, request: FastifyRequest): Promise<JWK> {
    const proof = await readDpopProof(header);
    if (!proof || !this.isFor(request, proof)) throw new Problem('auth.invalid_dpop_proof');
    const expiresAt = this.expiryOf(proof);
    if (expiresAt === null)
      throw new Problem('auth.dpop_nonce_required', { headers: { 'dpop-nonce': this.nonces.mint() } });
    // Last, so that no other text than an acceptable proof makes a row.
    const use = { digest: digestOf(proof), expiresAt: new Date(expiresAt + CLOCKS_DIFFER_MS) };
    if (!(await this.used.insert(use, new Date(this.clock.now()))))
      throw new Problem('auth.invalid_dpop_proof');
    return proof.key;
  }

  /** Whether the proof was signed for this method, this URL and this access token. */
  private isFor(request: FastifyRequest, { claims: { htm, htu, ath } }: DpopProof): boolean {
    const { accessToken } = request.credentials;
    if (accessToken !== null && ath !== sha256(accessToken).toString('base64url')) return false;
    return htm === request.method && this.isUrlOf(request, htu);
  }

  /** The query and the fragment do not count (RFC 9449 4.3). */
  private isUrlOf(request: FastifyRequest, htu: string): boolean {
    if (!URL.canParse(htu)) return false;
    const { origin, pathname } = new URL(htu);
    return pathname === request.url.split('?', 1)[0] && this.ownOrigins.includes(origin, request);
  }

  /**
   * When the proof stops to be acceptable; null if it is not acceptable now. A proof with a nonce is judged by the nonce
   * alone. By either, a proof of a client whose clock is an hour fast would be acceptable twice: now, and in an hour.
   */
  private expiryOf({ claims: { iat, nonce } }: DpopProof): number | null {
    if (nonce !== undefined) return this.nonces.expiryOf(nonce);
    const signedAt = iat * 1_000;
    return Math.abs(this.clock.now() - signedAt) <= WINDOW_MS ? signedAt + WINDOW_MS : null;
  }
}

/** Clients choose ids, so those of different keys may be equal. */
function digestOf({ thumbprint, claims: { jti } }: DpopProof): Buffer {
  return sha256(`${thumbprint} ${jti}`);
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
