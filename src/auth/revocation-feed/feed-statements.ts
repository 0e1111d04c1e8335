import { Injectable } from '@nestjs/common';
import { sign } from 'node:crypto';
import { Clock } from '../../platform/runtime/clock.js';
import { Settings } from '../../platform/settings/settings.js';
import { KeyRing } from '../tokens/key-ring.js';
import type { FeedPosition } from './feed-log.js';

/** The facts that an instance vouches for, at a position of its feed. */
export interface FeedFacts extends FeedPosition {
  /** Every revocation that had committed by then is included. The database's time, in milliseconds since the epoch. */
  time: number;
  /** Every revocation up to this number is included. */
  seq: number;
}

/** Signs the statements of the feed with the key of access tokens, so that verifiers need no other key. */
@Injectable()
export class FeedStatements {
  constructor(
    private readonly keys: KeyRing,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  heartbeat(facts: FeedFacts): string {
    return this.sign('revocation-heartbeat+jwt', facts);
  }

  /** @param digest of the entries, in base64url */
  snapshot(facts: FeedFacts, digest: string): string {
    return this.sign('revocation-snapshot+jwt', { ...facts, digest });
  }

  /** A compact JWS (RFC 7515). Its `typ` is not that of an access token, so it is none (RFC 8725 3.11). */
  private sign(typ: string, claims: object): string {
    const { kid, privateKey } = this.keys.signer(this.clock.now());
    const parts = [
      { alg: 'ES256', typ, kid },
      { iss: this.settings.tokenIssuer, ...claims },
    ];
    const content = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    const signature = sign('sha256', Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${content}.${signature.toString('base64url')}`;
  }
}
