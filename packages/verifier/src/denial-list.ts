import type { FeedEntry } from './feed/entry.js';

/** How a session ended; `at` is in milliseconds since the epoch. */
export interface Ended {
  reason: string;
  at: number;
}

interface Denial extends Ended {
  /** Sessions created at or before this instant are denied. */
  notBefore: number;
  forgetAt: number;
}

/** The ids in an access token by which it may be denied. */
export interface DeniableToken {
  userId: string;
  sessionId: string;
  tokenId: string;
}

/**
 * The revoked sessions and tokens whose access tokens have not expired yet, with the same rules as in the application.
 * Adding an entry is idempotent, and entries may arrive in any order.
 */
export class DenialList {
  /** Increases with each new denial. A token that was accepted at a revision stays acceptable while it is unchanged. */
  revision = 0;
  private readonly tokens = new Map<string, Denial>();
  private readonly sessions = new Map<string, Denial>();
  private readonly users = new Map<string, Denial>();
  private everyone: Denial | null = null;

  /** Adds the denials of an entry. @returns whether any of them is new */
  add({ kind, subjects, reason, notBefore, createdAt, expiresAt }: FeedEntry): boolean {
    const denial = { reason, at: createdAt, notBefore: notBefore ?? Infinity, forgetAt: expiresAt };
    const before = this.revision;
    if (kind === 'everyone') {
      if (deniesMore(denial, this.everyone)) {
        this.everyone = denial;
        this.revision += 1;
      }
      return this.revision !== before;
    }
    const list = { token: this.tokens, session: this.sessions, user: this.users }[kind];
    for (const subject of subjects) {
      if (!deniesMore(denial, list.get(subject))) continue;
      list.delete(subject); // moves it to the end of the list: see forget()
      list.set(subject, denial);
      this.revision += 1;
    }
    return this.revision !== before;
  }

  /** How this one access token was denied; null if it was not. Its session goes on. */
  endOfToken({ tokenId }: Pick<DeniableToken, 'tokenId'>): Ended | null {
    return this.tokens.get(tokenId) ?? null;
  }

  /** How the session of an access token ended; null if the list has no denial for it. */
  endOf({ sessionId, userId }: Omit<DeniableToken, 'tokenId'>): Ended | null {
    const denial = this.sessions.get(sessionId);
    if (denial) return denial;
    if (this.users.size === 0 && !this.everyone) return null;
    const createdAt = instantOf(sessionId);
    const ofUser = this.users.get(userId);
    if (ofUser && createdAt <= ofUser.notBefore) return ofUser;
    return this.everyone && createdAt <= this.everyone.notBefore ? this.everyone : null;
  }

  /** Removes denials that no unexpired access token can match. @param now an authentic time of the application */
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

/** When two denials of one subject deny the same sessions, the first one gives the reason. */
function deniesMore(next: Denial, known?: Denial | null): boolean {
  return !known || known.notBefore < next.notBefore;
}

/** The instant at which a session was created: its id is a version 7 UUID (RFC 9562 5.7). */
function instantOf(sessionId: string): number {
  return parseInt(sessionId.slice(0, 8) + sessionId.slice(9, 13), 16);
}
