import { Injectable } from '@nestjs/common';
import { instantOf } from '../common/random.js';
import type { Principal } from '../common/request.js';
import type { Ended, EndReason } from './end-reason.js';
import type { RevocationKind } from './revocation.entity.js';

/** A revocation as instances tell it each other. Instants are milliseconds since the epoch. */
export interface RevocationNotice {
  kind: RevocationKind;
  subjects: string[];
  /** The `jti` that a `token` one denies. */
  tokenId: string | null;
  reason: EndReason;
  notBefore: number | null;
  createdAt: number;
  expiresAt: number;
}

interface Denial extends Ended {
  /** Sessions created up to then are denied. */
  notBefore: number;
  forgetAt: number;
}

/**
 * Who must not be let in although their token is still good: what makes the access tier refuse
 * without I/O. Applying a notice is idempotent and the order does not matter.
 */
@Injectable()
export class DenialList {
  /** Moves on with each denial that is new. Who has passed at one revision passes as long as it is the same. */
  revision = 0;
  private readonly tokens = new Map<string, Denial>();
  private readonly sessions = new Map<string, Denial>();
  private readonly users = new Map<string, Denial>();
  private everyone: Denial | null = null;

  apply({ kind, subjects, tokenId, reason, notBefore, createdAt, expiresAt }: RevocationNotice): void {
    if (kind === 'stale') return;
    const denial = { reason, at: createdAt, notBefore: notBefore ?? Infinity, forgetAt: expiresAt };
    if (kind === 'everyone') {
      if (!deniesMore(denial, this.everyone)) return;
      this.everyone = denial;
      this.revision += 1;
      return;
    }
    const list = { token: this.tokens, session: this.sessions, user: this.users }[kind];
    for (const subject of tokenId === null ? subjects : [tokenId]) {
      if (!deniesMore(denial, list.get(subject))) continue;
      list.delete(subject); // to the end of the list: see forget()
      list.set(subject, denial);
      this.revision += 1;
    }
  }

  /** Whether this one token was denied, its session living on. */
  deniesToken({ tokenId }: Pick<Principal, 'tokenId'>): boolean {
    return this.tokens.size > 0 && this.tokens.has(tokenId);
  }

  /** How the session behind a token ended, if that is known here. */
  endOf({ sessionId, userId }: Pick<Principal, 'sessionId' | 'userId'>): Ended | null {
    const denial = this.sessions.get(sessionId);
    if (denial) return denial;
    if (this.users.size === 0 && !this.everyone) return null;
    const createdAt = instantOf(sessionId);
    const ofUser = this.users.get(userId);
    if (ofUser && createdAt <= ofUser.notBefore) return ofUser;
    return this.everyone && createdAt <= this.everyone.notBefore ? this.everyone : null;
  }

  /** Drops what no living token can match any more. Notices arrive about in the order in which they expire. */
  forget(now: number): void {
    for (const list of [this.tokens, this.sessions, this.users]) {
      for (const [subject, { forgetAt }] of list) {
        if (forgetAt > now) break;
        list.delete(subject);
      }
    }
    if (this.everyone && this.everyone.forgetAt <= now) this.everyone = null;
  }

  get size(): number {
    return this.tokens.size + this.sessions.size + this.users.size + (this.everyone ? 1 : 0);
  }
}

/** Of two denials of one subject that deny the same, the first gives the reason. */
function deniesMore(next: Denial, known?: Denial | null): boolean {
  return !known || known.notBefore < next.notBefore;
}
