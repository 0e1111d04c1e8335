import { Injectable } from '@nestjs/common';
import { defineAuditEvent } from '../../platform/audit/audit-event-types.js';
import { AuditService } from '../../platform/audit/audit.service.js';
import type { ActorContext } from '../../platform/api/actor.decorator.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext } from '../../platform/http/request.js';
import { Jobs } from '../../platform/jobs/jobs.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { UserTransactions } from '../../platform/persistence/user-transactions.js';
import { Clock } from '../../platform/runtime/clock.js';
import { random } from '../../platform/runtime/random.js';
import { Settings } from '../../platform/settings/settings.js';
import { reauthenticationRequired } from '../../sessions/check/session-check.js';
import { SessionReader } from '../../sessions/check/session-reader.js';
import type { SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import { CredentialKinds } from '../../sessions/credential-kinds.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import type { Receipt } from '../../sessions/revocation/receipt.js';
import { RevocationWriter, type RevocationTx } from '../../sessions/revocation/revocation-writer.js';
import { RevocationService } from '../../sessions/revocation/revocation.service.js';
import { shareEpoch } from '../../sessions/revocation/session-epoch.repository.js';
import { SessionFence } from '../../sessions/session-fence.js';
import { UserRepository } from '../../users/user.repository.js';
import { endOf } from './check/grant-check.js';
import { ENDS_GRANTS, type GrantEndReason, type StoredGrant } from './grant.js';
import { GrantRepository, type NewGrant } from './grant.repository.js';
import { APP_ALLOWED_MAIL } from './mails.js';
import { OAuthRecordRepository } from './provider/oauth-record.repository.js';

const GRANT_GIVEN = defineAuditEvent('oauth_grant_given');
const GRANT_ENDED = defineAuditEvent('oauth_grant_ended');

/** A user confirms an app again after a year at the latest. */
export const GRANT_LIFETIME_MS = 365 * 24 * 3_600_000;
const CLEANUP_BATCH = 1_000;

/** Why a grant ends, and which actor ends it. */
export interface GrantEndCause extends ActorContext {
  reason: GrantEndReason;
}

/** A grant in the list of its user, with its end if it is over. */
export interface ListedGrant extends StoredGrant {
  end: { reason: GrantEndReason; at: number | null } | null;
}

/** Gives, lists and ends grants: the access that users have given to apps. */
@Injectable()
export class GrantsService {
  constructor(
    private readonly grants: GrantRepository,
    private readonly records: OAuthRecordRepository,
    private readonly sessions: SessionReader,
    private readonly users: UserRepository,
    private readonly transactions: UserTransactions,
    private readonly fence: SessionFence,
    private readonly revocations: RevocationService,
    private readonly revocationWriter: RevocationWriter,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly settings: Settings,
    kinds: CredentialKinds,
    jobs: Jobs,
  ) {
    kinds.register('app', {
      lockToEnd: (tx, userId, reason) =>
        ENDS_GRANTS.includes(reason) ? this.grants.lockActive(tx, userId) : Promise.resolve([]),
      end: (tx, ids, end) => this.grants.end(tx, ids, end),
      // Grants are not cached.
      liveOf: () => Promise.resolve([]),
      lockLive: async (tx, { id }) => {
        await shareEpoch(tx);
        const grant = await this.grants.share(tx, id);
        const now = (await databaseNow(tx, this.clock)).getTime();
        if (!grant || endOf(grant, null, this.settings, now)) throw new Problem('auth.invalid_token');
        if (grant.sessionId !== null) await this.fence.lockLive(tx, grant.sessionId);
      },
    });
    jobs.every({ name: 'oauth-cleanup', interval: '1h', run: () => this.removeOver() });
  }

  /** The grants of a user, newest first. */
  async list(userId: string): Promise<ListedGrant[]> {
    const grants = await this.grants.list(userId);
    const sessions = await this.sessions.readMany([
      ...new Set(grants.flatMap(({ sessionId }) => sessionId ?? [])),
    ]);
    const now = this.clock.now();
    return grants.map((grant) => ({
      ...grant,
      end: endOf(grant, grant.sessionId === null ? null : sessions.get(grant.sessionId), this.settings, now),
    }));
  }

  /**
   * Gives an app access on behalf of the session's user. The user is told by mail if the access outlives the session.
   *
   * @param maxAuthAge the maximum time since the user last proved their identity, in ms
   * @throws Problem `auth.session_ended`, `auth.reauthentication_required`
   */
  async give(
    session: Pick<SessionSnapshot, 'id' | 'userId'>,
    app: Pick<NewGrant, 'clientId' | 'clientName' | 'scopes'> & { outlivesSession: boolean },
    context: RequestContext,
    maxAuthAge = Infinity,
  ): Promise<string> {
    const { userId } = session;
    return this.transactions.run(userId, async (tx) => {
      const user = await this.users.lock(tx, userId);
      const { authenticatedAt } = await this.fence.lockLive(tx, session.id);
      const now = await databaseNow(tx, this.clock);
      if (authenticatedAt + maxAuthAge <= now.getTime()) throw reauthenticationRequired(maxAuthAge);
      const id = random.uuidAt(now.getTime());
      await this.grants.insert(tx, {
        id,
        userId,
        clientId: app.clientId,
        clientName: app.clientName,
        scopes: app.scopes,
        sessionId: app.outlivesSession ? null : session.id,
        createdAt: now,
        expiresAt: new Date(now.getTime() + GRANT_LIFETIME_MS),
      });
      await this.audit.record(tx, {
        type: GRANT_GIVEN,
        actorId: userId,
        userId,
        sessionId: session.id,
        context,
        details: {
          grant: id,
          app: app.clientId,
          scopes: app.scopes,
          outlivesSession: app.outlivesSession,
        },
      });
      if (app.outlivesSession)
        await this.mails.add(tx, user!.email!, APP_ALLOWED_MAIL, {
          name: app.clientName,
          ...mailContextOf(context, now),
        });
      return id;
    });
  }

  /**
   * Ends a grant: every token of it is refused. A repeated call returns the receipt of the first call.
   *
   * @param owner if given, a grant of any other user counts as missing
   * @returns null when the grant does not exist
   */
  async end(
    id: string,
    { reason, actorId, context }: GrantEndCause,
    owner?: string,
  ): Promise<Receipt | null> {
    const userId = await this.grants.ownerOf(id);
    if (userId === null || (owner !== undefined && userId !== owner)) return null;
    const work = async (tx: RevocationTx) => {
      await this.users.lock(tx, userId);
      const grant = await this.grants.lock(tx, id);
      if (!grant) return null;
      const earlier = await this.revocationWriter.existing(tx, grant.revocationSeq);
      if (earlier) return earlier;
      const pending = await this.revocationWriter.endCredential(tx, id, reason);
      const { seq, createdAt: at } = pending.revocation;
      await this.grants.end(tx, [id], { reason, at, seq });
      await this.audit.record(tx, {
        type: GRANT_ENDED,
        actorId,
        userId,
        context,
        details: { grant: id, app: grant.clientId, reason, revocation: Number(seq) },
      });
      return pending;
    };
    return this.revocations.commit(userId, work, { reserved: true });
  }

  /** Removes records of the provider that have expired, and grants that ended longer ago than `SESSION_RETENTION`. */
  async removeOver(): Promise<void> {
    const now = this.clock.now();
    while ((await this.records.removeOver(new Date(now), CLEANUP_BATCH)) === CLEANUP_BATCH);
    const before = new Date(now - this.settings.sessionRetention);
    while ((await this.grants.removeOver(before, CLEANUP_BATCH)) === CLEANUP_BATCH);
  }
}
