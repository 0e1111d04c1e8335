import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { AuditEventType } from '../../platform/audit/audit-event-types.js';
import { AuditService } from '../../platform/audit/audit.service.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { takeLock } from '../../platform/persistence/advisory-locks.js';
import { RevocationDatabase } from '../../platform/persistence/revocation-database.js';
import { RevocationTransactions } from '../../platform/persistence/user-transactions.js';
import { UserRepository } from '../../users/user.repository.js';
import { CredentialKinds, type CredentialEnd } from '../credential-kinds.js';
import { DenialList, type RevocationNotice } from './denial-list.js';
import { findLost, skipNumbersUpTo } from './lost-revocation.repository.js';
import { RevocationSubscriber } from './revocation-subscriber.js';
import { insertRevocation } from './revocation.repository.js';
import { endSessionRecords, lockSessionsToEnd, userOfSession } from './session-end.repository.js';
import { raiseEpoch } from './session-epoch.repository.js';
import { sessionOfTokenId } from '../token-id.js';

/** Notices that one statement compares with the log. */
const PAGE = 5_000;
/** A lock name for the revocations that concern no single user. */
const EVERYONE = 'everyone';

const AUDITED_AS: Record<RevocationNotice['kind'], AuditEventType> = {
  token: 'authn_token_revoked',
  session: 'session_ended',
  user: 'sessions_ended',
  everyone: 'sessions_ended_everywhere',
  stale: 'session_ended',
};

/**
 * Records revocations again that PostgreSQL has acknowledged and lost. It happens when a standby with asynchronous
 * replication is promoted, or when an older copy is restored under running instances. This instance still has them in
 * its denial list, but a new instance would accept the sessions.
 *
 * Whenever the revocation feed has a new connection, the instance compares its list with the log. Sessions end with the
 * original reason and time, so sessions that began later go on. Changes that were lost with a revocation, such as a ban,
 * stay lost: the log of the instance names each revocation.
 */
@Injectable()
export class LostRevocations {
  /** The connection of the feed whose server has everything that this instance knows. The first one has. */
  private compared = 1;
  private isRunning = false;
  private highestSeq = 0;

  constructor(
    private readonly subscriber: RevocationSubscriber,
    private readonly denials: DenialList,
    private readonly database: RevocationDatabase,
    private readonly transactions: RevocationTransactions,
    private readonly users: UserRepository,
    private readonly credentials: CredentialKinds,
    private readonly audit: AuditService,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    denials.onNotice(({ seq }) => (this.highestSeq = Math.max(this.highestSeq, seq)));
    subscriber.onPoll(() => void this.compareOnNewConnection());
  }

  private async compareOnNewConnection(): Promise<void> {
    const { connectionCount } = this.subscriber;
    if (connectionCount === this.compared || this.isRunning) return;
    this.isRunning = true;
    try {
      await this.compare();
      this.compared = connectionCount;
    } catch (error) {
      this.logger.warn({ err: error }, 'revocations could not be compared with PostgreSQL yet');
    } finally {
      this.isRunning = false;
    }
  }

  private async compare(): Promise<void> {
    const numbersWereLost = await skipNumbersUpTo(this.database, this.highestSeq);
    let restored = 0;
    const heard = [...this.denials.notices()];
    const failures: unknown[] = [];
    for (let from = 0; from < heard.length; from += PAGE) {
      for (const notice of await findLost(this.database, heard.slice(from, from + PAGE))) {
        const isRestored = await this.restore(notice).catch((error) => void failures.push(error));
        if (isRestored) restored++;
      }
    }
    if (numbersWereLost || restored > 0)
      this.logger.error(
        { restored },
        'PostgreSQL has lost commits that it had acknowledged: revocations were recorded again, other changes are lost',
      );
    if (failures.length > 0) throw failures[0];
  }

  /** @returns false if another instance has recorded it meanwhile */
  private async restore(notice: RevocationNotice): Promise<boolean> {
    const isDone = await this.transactions.run(notice.subjects[0] ?? EVERYONE, async (tx) => {
      await takeLock(tx, 'lostRevocations');
      if ((await findLost(tx, [notice])).length === 0) return false;
      await this.record(tx, notice);
      return true;
    });
    const { seq, kind, subjects, reason } = notice;
    if (isDone)
      this.logger.warn({ seq: String(seq), kind, subjects, reason }, 'a lost revocation was recorded again');
    return isDone;
  }

  private async record(tx: EntityManager, notice: RevocationNotice): Promise<void> {
    const { kind, subjects, tokenId, reason } = notice;
    const notBefore = notice.notBefore === null ? null : new Date(notice.notBefore);
    const at = new Date(notice.createdAt);
    const userId = await this.lockUser(tx, notice);
    const ended =
      userId && kind !== 'token'
        ? await lockSessionsToEnd(tx, userId, { only: kind === 'session' ? subjects : null, except: null })
        : [];
    const ids = ended.filter(({ created_at }) => !notBefore || created_at <= notBefore).map(({ id }) => id);
    const seq = await insertRevocation(tx, {
      kind,
      subjects: recordedSubjects(notice, userId),
      tokenId,
      reason,
      notBefore,
      endedSessions: ids.length,
      createdAt: at,
      expiresAt: new Date(notice.expiresAt),
    });
    await this.end(tx, notice, { userId, ids, end: { reason, at, seq } });
    await this.audit.record(tx, {
      type: AUDITED_AS[kind],
      actorId: null,
      context: null,
      userId,
      sessionId: kind === 'session' && userId ? subjects[0]! : null,
      details: { reason, sessions: ids.length, revocation: Number(seq), lostRevocation: notice.seq },
    });
  }

  private async end(
    tx: EntityManager,
    { kind, subjects, notBefore }: RevocationNotice,
    { userId, ids, end }: { userId: string | null; ids: string[]; end: CredentialEnd },
  ): Promise<void> {
    if (kind === 'everyone') return raiseEpoch(tx, new Date(notBefore!));
    if (kind === 'token') return;
    if (!userId) return this.credentials.endAny(tx, subjects[0]!, end);
    await endSessionRecords(tx, ids, { ...end, reason: end.reason as RevocationNotice['reason'] });
    if (kind === 'user') await this.users.setNotBefore(tx, userId, new Date(notBefore!), true);
  }

  /** @returns null if the subject is no session and no user that PostgreSQL has */
  private async lockUser(tx: EntityManager, { kind, subjects }: RevocationNotice): Promise<string | null> {
    const [subject] = subjects;
    if (!subject || kind === 'token') return null;
    const userId = kind === 'user' ? subject : await userOfSession(tx, subject);
    return userId && ((await this.users.lock(tx, userId))?.id ?? null);
  }
}

/** The subjects as the log has them. A notice of the denial list has only one. */
function recordedSubjects({ kind, subjects, tokenId }: RevocationNotice, userId: string | null): string[] {
  if (tokenId !== null) return [sessionOfTokenId(tokenId)];
  // A subject that is no user is another credential. The dispatcher writes tombstones for all subjects but the first.
  return kind === 'user' && !userId ? [...subjects, ...subjects] : subjects;
}
