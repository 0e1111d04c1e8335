import { Injectable } from '@nestjs/common';
import { instantOf } from '../../platform/runtime/random.js';
import type { Principal } from '../../platform/http/request.js';
import type { Ended, EndReason } from './end-reason.js';
import type { RevocationKind } from './revocation.entity.js';

/** A revocation as instances send it to each other. Instants are milliseconds since the epoch. */
export interface RevocationNotice {
  /** The number of the revocation. */
  seq: number;
  kind: RevocationKind;
  subjects: string[];
  /** The `jti` that a revocation of kind `token` denies. */
  tokenId: string | null;
  reason: EndReason;
  notBefore: number | null;
  createdAt: number;
  expiresAt: number;
}

type Listener = (notice: RevocationNotice, isNews: boolean) => void;

interface Denial extends Ended {
  seq: number;
  /** Sessions created at or before this instant are denied. */
  notBefore: number;
  forgetAt: number;
}

/**
 * The revoked sessions and tokens whose access tokens have not expired yet. With this list the access tier refuses a
 * request without I/O. Applying a notice is idempotent, and notices may arrive in any order.
 */
@Injectable()
export class DenialList {
  /**
   * Increases with each new denial. If a principal was accepted at a revision, it stays acceptable while the revision
   * is unchanged.
   */
  revision = 0;
  private readonly tokens = new Map<string, Denial>();
  private readonly sessions = new Map<string, Denial>();
  private readonly users = new Map<string, Denial>();
  private everyone: Denial | null = null;
  private readonly listeners: Listener[] = [];

  /**
   * Calls the listener after each notice, also of kind `stale`. The subscriber reads some notices more than once, so the
   * listener gets them more than once; `isNews` says whether a notice has added a denial.
   */
  onNotice(listener: Listener): void {
    this.listeners.push(listener);
  }

  /** Adds the denials of a notice. A notice of kind `stale` denies nothing. */
  apply(notice: RevocationNotice): void {
    const before = this.revision;
    this.add(notice);
    for (const listener of this.listeners) listener(notice, this.revision !== before);
  }

  private add(notice: RevocationNotice): void {
    const { seq, kind, subjects, tokenId, reason, notBefore, createdAt, expiresAt } = notice;
    if (kind === 'stale') return;
    const denial = { seq, reason, at: createdAt, notBefore: notBefore ?? Infinity, forgetAt: expiresAt };
    if (kind === 'everyone') return this.denyEveryone(denial);
    const list = { token: this.tokens, session: this.sessions, user: this.users }[kind];
    for (const subject of tokenId === null ? subjects : [tokenId]) this.deny(list, subject, denial);
  }

  private denyEveryone(denial: Denial): void {
    if (!deniesMore(denial, this.everyone)) return;
    this.everyone = denial;
    this.revision += 1;
  }

  private deny(list: Map<string, Denial>, subject: string, denial: Denial): void {
    if (!deniesMore(denial, list.get(subject))) return;
    list.delete(subject); // move it to the end of the list: see forget()
    list.set(subject, denial);
    this.revision += 1;
  }

  /** The denials in memory, each as a notice with one subject. */
  *notices(): Generator<RevocationNotice> {
    for (const [subject, denial] of this.tokens) yield noticeOf('token', denial, [], subject);
    for (const [subject, denial] of this.sessions) yield noticeOf('session', denial, [subject]);
    for (const [subject, denial] of this.users) yield noticeOf('user', denial, [subject]);
    if (this.everyone) yield noticeOf('everyone', this.everyone, []);
  }

  /** Whether this one access token was denied. Its session goes on. */
  deniesToken({ tokenId }: Pick<Principal, 'tokenId'>): boolean {
    return this.tokens.size > 0 && this.tokens.has(tokenId);
  }

  /** How the session of an access token ended; null if the list has no denial for it. */
  endOf({ sessionId, userId }: Pick<Principal, 'sessionId' | 'userId'>): Ended | null {
    const denial = this.sessions.get(sessionId);
    if (denial) return denial;
    if (this.users.size === 0 && !this.everyone) return null;
    const createdAt = instantOf(sessionId);
    const ofUser = this.users.get(userId);
    if (ofUser && createdAt <= ofUser.notBefore) return ofUser;
    return this.everyone && createdAt <= this.everyone.notBefore ? this.everyone : null;
  }

  /** Whether a credential of another kind, such as an API key, has ended. It ends alone or with all of its user. */
  deniesCredential(id: string): boolean {
    return this.sessions.has(id) || this.users.has(id);
  }

  /** As {@link deniesCredential}, for a grant of an app: it also ends with everyone's sessions. */
  deniesGrant(id: string): boolean {
    return this.deniesCredential(id) || (this.everyone !== null && instantOf(id) <= this.everyone.notBefore);
  }

  /**
   * Removes denials that no unexpired access token can match. Notices arrive approximately in the order in which they
   * expire.
   */
  forget(now: number): void {
    for (const list of [this.tokens, this.sessions, this.users]) {
      for (const [subject, { forgetAt }] of list) {
        if (forgetAt > now) break;
        list.delete(subject);
      }
    }
    if (this.everyone && this.everyone.forgetAt <= now) this.everyone = null;
  }

  /** The number of denials in memory. */
  get size(): number {
    return this.tokens.size + this.sessions.size + this.users.size + (this.everyone ? 1 : 0);
  }
}

function noticeOf(
  kind: RevocationKind,
  { seq, reason, at, notBefore, forgetAt }: Denial,
  subjects: string[],
  tokenId: string | null = null,
): RevocationNotice {
  const instant = notBefore === Infinity ? null : notBefore;
  return { seq, kind, subjects, tokenId, reason, notBefore: instant, createdAt: at, expiresAt: forgetAt };
}

/** When two denials of one subject deny the same sessions, the first one gives the reason. */
function deniesMore(next: Denial, known?: Denial | null): boolean {
  return !known || known.notBefore < next.notBefore;
}
