import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { AuditEventType } from '../../platform/audit/audit-event-types.js';
import { AuditService } from '../../platform/audit/audit.service.js';
import type { ActorContext } from '../../platform/api/actor.decorator.js';
import { Clock } from '../../platform/runtime/clock.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { UserRepository } from '../../users/user.repository.js';
import { CredentialKinds } from '../credential-kinds.js';
import type { EndReason } from './end-reason.js';
import { Revocation, type RevocationKind } from './revocation.entity.js';
import { findRevocation, insertRevocation, unappliedSeqs } from './revocation.repository.js';
import {
  activeSessionsOf,
  endSessionRecords,
  lockSessionsToEnd,
  noteRevocation,
  revocationThatEnded,
  sessionsEndedBy,
  userOfSession,
  userSessionsEndedBy,
} from './session-end.repository.js';
import { lockEpochForRevocation } from './session-epoch.repository.js';
import { sessionOfTokenId } from '../token-id.js';

/** Why sessions end, and which actor ends them. */
export interface RevocationCause extends ActorContext {
  reason: EndReason;
  /** The type of the audit event, if the default one says too little. */
  audit?: AuditEventType;
  details?: Record<string, unknown>;
}

/** Why one access token is denied. Its session goes on. */
export type DenialCause = Omit<RevocationCause, 'reason'> & { reason: EndReason | 'step_up' | 'bound' };

/** Which of one user's sessions: all, the listed ones, or all except one. */
export type SessionSelector = 'all' | { only: string[] } | { except: string };

/** A revocation that is written in a transaction. It is in force once the transaction has committed. */
export interface PendingRevocation {
  revocation: Revocation;
  /** Of the sessions, and of the other credentials that it concerns: see `CredentialKinds`. */
  ids: string[];
}

/** A transaction of `RevocationService.commit`, which publishes the revocations in it after the commit. */
export type RevocationTx = EntityManager & { readonly pendingRevocations: PendingRevocation[] };

/**
 * No access token lives longer than 15 minutes (TOK-01), whatever the setting was when it was signed. One more minute
 * covers the difference of clocks.
 */
const TOKENS_DEAD_AFTER_MS = 15 * 60_000 + 60_000;

/**
 * The transactional part of a revocation: the session records, the notice for every instance, and the audit event.
 * Nothing is in force before the commit. After it, `RevocationService.commit` updates the caches.
 */
@Injectable()
export class RevocationWriter {
  constructor(
    private readonly users: UserRepository,
    private readonly credentials: CredentialKinds,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /**
   * Ends sessions of one user, under the user's lock. If all or all others end, the user's other credentials that end
   * for this reason end with them, such as API keys at a ban, or the grants of apps at a change of the password.
   */
  async endSessions(
    tx: RevocationTx,
    userId: string,
    selector: SessionSelector,
    cause: RevocationCause,
  ): Promise<PendingRevocation> {
    await this.users.lock(tx, userId);
    const candidates = await lockSessionsToEnd(tx, userId, {
      only: onlyOf(selector),
      except: exceptOf(selector),
    });
    const sessionIds = candidates.map(({ id }) => id);
    const now = await databaseNow(tx, this.clock);
    const everything = selector === 'all';
    // `notBefore` is not earlier than the start of any of these sessions, even if the clock has stepped back since.
    const notBefore = new Date(
      Math.max(now.getTime(), ...candidates.map((session) => session.created_at.getTime())),
    );
    const others =
      onlyOf(selector) === null ? await this.credentials.lockToEnd(tx, userId, cause.reason) : NO_OTHERS;
    const unfinished = onlyOf(selector) === null ? await this.unfinishedOf(tx, userId) : [];
    const revocation = await this.insert(tx, {
      kind: everything ? 'user' : 'session',
      subjects: [...(everything ? [userId] : sessionIds), ...others.ids, ...unfinished],
      reason: cause.reason,
      now,
      notBefore: everything ? notBefore : null,
      ended: sessionIds.length,
    });
    const end = { reason: cause.reason, at: now, seq: revocation.seq };
    await endSessionRecords(tx, sessionIds, end);
    await others.end(end);
    if (onlyOf(selector) === null) {
      // Also when one session goes on: an ended session may have made a request that is recorded without a session.
      await this.users.setNotBefore(tx, userId, notBefore, everything);
    }
    const [sessionId] = sessionIds;
    await this.audit.record(tx, {
      ...auditOf(cause, sessionIds.length === 1 ? 'session_ended' : 'sessions_ended'),
      userId,
      sessionId: sessionIds.length === 1 ? sessionId : null,
      details: {
        ...cause.details,
        reason: cause.reason,
        sessions: sessionIds.length,
        ...(others.ids.length > 0 && { otherCredentials: others.ids }),
        revocation: Number(revocation.seq),
      },
    });
    return pendingIn(tx, revocation, [...sessionIds, ...others.ids, ...unfinished]);
  }

  /**
   * The sessions and other credentials of a user that have ended, but that the cache may still have as live. A later end
   * of all includes them: its receipt says that no check accepts any of the user's.
   */
  private async unfinishedOf(tx: RevocationTx, userId: string): Promise<string[]> {
    const seqs = await unappliedSeqs(tx);
    if (seqs.length === 0) return [];
    return [
      ...(await userSessionsEndedBy(tx, userId, seqs)),
      ...(await this.credentials.endedBy(tx, userId, seqs)),
    ];
  }

  /**
   * Ends one session. If its lifetime is already over, the revocation is recorded on it, so that a repeated request
   * gets the same receipt.
   */
  async endSession(
    tx: RevocationTx,
    { id, userId }: { id: string; userId: string },
    cause: RevocationCause,
  ): Promise<PendingRevocation> {
    const pending = await this.endSessions(tx, userId, { only: [id] }, cause);
    if (pending.ids.length === 0) {
      await noteRevocation(tx, id, pending.revocation.seq);
    }
    return pending;
  }

  /** Ends everyone's sessions. After the commit, Postgres refuses all of them, however many there are. */
  async endEveryone(tx: RevocationTx, cause: RevocationCause): Promise<PendingRevocation> {
    const { now, notBefore } = await lockEpochForRevocation(tx, this.clock);
    const revocation = await this.insert(tx, { kind: 'everyone', reason: cause.reason, now, notBefore });
    await this.audit.record(tx, {
      ...auditOf(cause, 'sessions_ended_everywhere'),
      details: { ...cause.details, revocation: Number(revocation.seq) },
    });
    return pendingIn(tx, revocation, []);
  }

  /**
   * Denies one access token; its session goes on. A repeated call returns the first revocation.
   *
   * @returns null when the session that the token names does not exist
   */
  async denyToken(tx: RevocationTx, tokenId: string, cause: DenialCause): Promise<PendingRevocation | null> {
    const sessionId = sessionOfTokenId(tokenId);
    const userId = await userOfSession(tx, sessionId);
    if (userId === null) return null;
    await this.users.lock(tx, userId);
    const earlier = await findRevocation(tx, { tokenId });
    if (earlier) return pendingIn(tx, earlier, earlier.subjects);
    const now = await databaseNow(tx, this.clock);
    const sessionIds = [sessionId];
    const { reason } = cause;
    const revocation = await this.insert(tx, { kind: 'token', subjects: sessionIds, tokenId, reason, now });
    await this.audit.record(tx, {
      ...auditOf(cause, 'authn_token_revoked'),
      userId,
      sessionId,
      details: { tokenId, revocation: Number(revocation.seq) },
    });
    return pendingIn(tx, revocation, sessionIds);
  }

  /**
   * Ends a credential of another kind, see {@link CredentialKinds}. The caller has locked its record, ends it with the
   * number of the revocation, and records the audit event.
   */
  async endCredential(tx: RevocationTx, id: string, reason: string): Promise<PendingRevocation> {
    const now = await databaseNow(tx, this.clock);
    const revocation = await this.insert(tx, { kind: 'session', subjects: [id], reason, now });
    return pendingIn(tx, revocation, [id]);
  }

  /** As {@link markStale}, for one credential of another kind. */
  async markCredentialStale(tx: RevocationTx, id: string, what: string): Promise<PendingRevocation> {
    const now = await databaseNow(tx, this.clock);
    const revocation = await this.insert(tx, { kind: 'stale', subjects: [id], reason: what, now });
    return pendingIn(tx, revocation, [id]);
  }

  /**
   * For changes that end no session but that the next check must see, such as roles. Call it inside the transaction
   * of the change.
   */
  async markStale(tx: RevocationTx, userId: string, what: string): Promise<PendingRevocation> {
    const sessionIds = await activeSessionsOf(tx, userId);
    const ids = [
      ...sessionIds,
      ...(await this.credentials.liveOf(tx, userId)),
      ...(await this.unfinishedOf(tx, userId)),
    ];
    const now = await databaseNow(tx, this.clock);
    const revocation = await this.insert(tx, { kind: 'stale', subjects: ids, reason: what, now });
    return pendingIn(tx, revocation, ids);
  }

  /** The revocation that already ended the session, for a repeated request; null if there is none. */
  async existingRevocation(tx: RevocationTx, sessionId: string): Promise<PendingRevocation | null> {
    return this.existing(tx, await revocationThatEnded(tx, sessionId));
  }

  /** An earlier revocation, for a repeated request; null if it was removed, or if there is no number. */
  async existing(tx: RevocationTx, seq: string | null): Promise<PendingRevocation | null> {
    const revocation = seq && (await findRevocation(tx, { seq }));
    if (!revocation) return null;
    const ids = await this.idsOf(tx, revocation);
    return pendingIn(tx, Object.assign(revocation, { endedSessions: 0 }), ids);
  }

  /** The ids of the sessions and other credentials of a revocation. Also works long after the revocation. */
  async idsOf(tx: EntityManager, { kind, subjects, seq }: Revocation): Promise<string[]> {
    if (kind !== 'user') return subjects;
    const [, ...others] = subjects;
    return [...(await sessionsEndedBy(tx, seq)), ...others];
  }

  private async insert(
    tx: EntityManager,
    what: {
      kind: RevocationKind;
      subjects?: string[];
      tokenId?: string;
      reason: string;
      now: Date;
      notBefore?: Date | null;
      ended?: number;
    },
  ): Promise<Revocation> {
    const revocation = Object.assign(new Revocation(), {
      kind: what.kind,
      subjects: what.subjects ?? [],
      tokenId: what.tokenId ?? null,
      reason: what.reason,
      notBefore: what.notBefore ?? null,
      endedSessions: what.ended ?? 0,
      createdAt: what.now,
      expiresAt: new Date(what.now.getTime() + TOKENS_DEAD_AFTER_MS),
      appliedAt: null,
    });
    return Object.assign(revocation, { seq: await insertRevocation(tx, revocation) });
  }
}

/** A revocation of single sessions concerns no other credentials. */
const NO_OTHERS = { ids: [], end: () => Promise.resolve() };

function pendingIn(tx: RevocationTx, revocation: Revocation, ids: string[]): PendingRevocation {
  const pending = { revocation, ids };
  tx.pendingRevocations.push(pending);
  return pending;
}

function onlyOf(selector: SessionSelector): string[] | null {
  return typeof selector === 'object' && 'only' in selector ? selector.only : null;
}

function exceptOf(selector: SessionSelector): string | null {
  return typeof selector === 'object' && 'except' in selector ? selector.except : null;
}

function auditOf({ actorId, context, audit }: DenialCause, plain: AuditEventType) {
  return { type: audit ?? plain, actorId, context };
}
