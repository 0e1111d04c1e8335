import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { defineAuditEvent } from '../../platform/audit/audit-event-types.js';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext } from '../../platform/http/request.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { UserTransactions } from '../../platform/persistence/user-transactions.js';
import { Clock } from '../../platform/runtime/clock.js';
import { random } from '../../platform/runtime/random.js';
import type { SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import { RevocationService } from '../../sessions/revocation/revocation.service.js';
import { shareEpoch } from '../../sessions/revocation/session-epoch.repository.js';
import { SessionFence } from '../../sessions/session-fence.js';
import { sessionsBegunBy } from '../../sessions/session-origin.repository.js';
import { UserRepository } from '../../users/user.repository.js';
import { PasskeyRepository } from '../passkeys/passkey.repository.js';
import { IdentityRepository, type Identity } from './identity.repository.js';
import { IDENTITY_LINKED_MAIL, IDENTITY_UNLINKED_MAIL } from './mails.js';
import type { OutsideLogout, OutsideProfile } from './social-clients.js';

const IDENTITY_LINKED = defineAuditEvent('identity_linked');
const IDENTITY_UNLINKED = defineAuditEvent('identity_unlinked');

/** Links and removes the outside accounts of users. */
@Injectable()
export class IdentitiesService {
  constructor(
    private readonly database: DataSource,
    private readonly identities: IdentityRepository,
    private readonly passkeys: PasskeyRepository,
    private readonly users: UserRepository,
    private readonly transactions: UserTransactions,
    private readonly pending: PendingActions,
    private readonly fence: SessionFence,
    private readonly revocations: RevocationService,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /** The outside accounts of a user, newest first, and whether the user also has a password. */
  async list(userId: string): Promise<{ identities: Identity[]; hasPassword: boolean }> {
    const user = await this.users.findWithPassword(userId);
    return { identities: await this.identities.list(userId), hasPassword: user?.passwordHash != null };
  }

  /** When a session asks to link an outside account, in ms. See `PendingActions`. */
  async requestLink({ id, userId }: Pick<SessionSnapshot, 'id' | 'userId'>): Promise<number> {
    const requestedAt = await this.pending.requestedAt(this.database.manager, { userId, sessionId: id });
    return requestedAt.getTime();
  }

  /**
   * Links an outside account to the user of a session that has asked for it. Both are proved: the session by a recent
   * login, the outside account by its provider.
   *
   * @returns `linked`; `already_linked` if it belongs to another user; `session_ended`
   */
  async link(
    profile: OutsideProfile,
    provider: string,
    asked: { userId: string; sessionId: string; requestedAt: number },
    context: RequestContext,
  ): Promise<'linked' | 'already_linked' | 'session_ended'> {
    const { userId, sessionId } = asked;
    return this.transactions.run(userId, async (tx) => {
      await shareEpoch(tx);
      const user = await this.users.lock(tx, userId);
      const action = { userId, sessionId, requestedAt: new Date(asked.requestedAt) };
      if (!user?.email || !(await this.pending.isAuthorized(tx, action))) return 'session_ended';
      const now = await databaseNow(tx, this.clock);
      const { issuer, subject, email } = profile;
      const id = random.uuidAt(now.getTime());
      const isNew = await this.identities.add(tx, {
        id,
        userId,
        issuer,
        subject,
        provider,
        email,
        createdAt: now,
      });
      if (!isNew)
        return (await this.identities.find(profile, tx))?.userId === userId ? 'linked' : 'already_linked';
      await this.audit.record(tx, {
        type: IDENTITY_LINKED,
        actorId: userId,
        userId,
        sessionId,
        context,
        details: { identity: id, provider },
      });
      const about = { provider, account: email ?? subject, ...mailContextOf(context, now) };
      await this.mails.add(tx, user.email, IDENTITY_LINKED_MAIL, about);
      return 'linked';
    });
  }

  /**
   * Removes an outside account. The sessions that began with it go on: the list of sessions ends them.
   *
   * @throws Problem `resource.not_found`; `resource.conflict` if the user could not log in any more;
   *   `auth.session_ended`
   */
  async unlink(
    { id: sessionId, userId }: SessionSnapshot,
    id: string,
    context: RequestContext,
  ): Promise<void> {
    await this.transactions.run(userId, async (tx) => {
      const user = await this.users.lock(tx, userId);
      await this.fence.lockLive(tx, sessionId);
      const removed = await this.identities.remove(tx, userId, id);
      if (!removed) throw new Problem('resource.not_found');
      const others = (await this.identities.count(tx, userId)) + (await this.passkeys.count(tx, userId));
      if (others === 0 && user!.passwordHash === null)
        throw new Problem('resource.conflict', {
          detail:
            'You could not log in any more. Set a password first: ask for a link as for a forgotten one.',
        });
      const now = await databaseNow(tx, this.clock);
      await this.audit.record(tx, {
        type: IDENTITY_UNLINKED,
        actorId: userId,
        userId,
        sessionId,
        context,
        details: { identity: id, provider: removed.provider },
      });
      const about = {
        provider: removed.provider,
        account: removed.email ?? id,
        ...mailContextOf(context, now),
      };
      await this.mails.add(tx, user!.email!, IDENTITY_UNLINKED_MAIL, about);
    });
  }

  /** Ends the sessions that began with an outside account, because its user has logged out at the provider. */
  async endSessionsOf(logout: OutsideLogout, context: RequestContext): Promise<void> {
    const identity = await this.identities.find(logout);
    if (!identity) return;
    const ids = await sessionsBegunBy(this.database.manager, identity.id, logout.sid);
    if (ids.length === 0) return;
    const cause = { reason: 'logout', actorId: null, context, details: { by: identity.provider } } as const;
    await this.revocations.endSessions(identity.userId, { only: ids }, cause);
  }
}
