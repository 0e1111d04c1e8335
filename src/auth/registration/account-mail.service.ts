import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Settings } from '../../platform/settings/settings.js';
import { MailedTokens } from '../../platform/mail/mailed-tokens.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import { isUsable, type User } from '../../users/user.entity.js';
import { UserRepository } from '../../users/user.repository.js';
import type { RequestedAccountJob } from './account-job.js';
import {
  ALREADY_REGISTERED_MAIL,
  CONFIRM_EMAIL_CHANGE_MAIL,
  EMAIL_CHANGE_REQUESTED_MAIL,
  PASSWORD_RESET_MAIL,
  REGISTERED_AGAIN_MAIL,
  VERIFY_EMAIL_MAIL,
} from './mails.js';

/** Any client can trigger a mail to any address by registering with it, but at most once per hour. */
const TELL_AGAIN_AFTER_MS = 3_600_000;
/** A user who registers again has probably lost the first mail, so the next one may follow after a minute. */
const VERIFY_AGAIN_AFTER_MS = 60_000;

/** Writes the mails for requests that name an account or an address. All methods run in the caller's transaction. */
@Injectable()
export class AccountMailService {
  constructor(
    private readonly users: UserRepository,
    private readonly tokens: MailedTokens,
    private readonly outbox: MailOutbox,
    private readonly pending: PendingActions,
    private readonly audit: AuditService,
    private readonly settings: Settings,
  ) {}

  /** Call this under `shareEpoch`: requests made before a global logout are void as well. */
  async handle(tx: EntityManager, job: RequestedAccountJob, now: Date): Promise<void> {
    switch (job.kind) {
      case 'registered':
      case 'registered_taken':
        return this.afterRegistration(tx, job, now);
      case 'password_forgotten':
        return this.offerReset(tx, job, now);
      case 'email_change':
        return this.askNewAddress(tx, job, now);
    }
  }

  private async afterRegistration(tx: EntityManager, job: RequestedAccountJob, now: Date): Promise<void> {
    const { kind, requestedAt } = job;
    const user = await this.ownerOf(tx, job, now);
    if (!user) return;
    const mayNotLogInYet = this.settings.emailVerification === 'required' && !user.emailVerifiedAt;
    if (kind === 'registered') {
      if (mayNotLogInYet) await this.askToVerify(tx, user, requestedAt);
    } else if (mayNotLogInYet) {
      if (await this.users.mayTell(tx, user.id, now, VERIFY_AGAIN_AFTER_MS))
        await this.askForPassword(tx, user, requestedAt);
    } else await this.tellOfAccount(tx, user, now);
  }

  /**
   * Locks the user who has the address.
   * @returns null if there is none, or if a request without a session is void by now
   */
  private async ownerOf(
    tx: EntityManager,
    { email, requestedAt }: RequestedAccountJob,
    now: Date,
  ): Promise<User | null> {
    const user = await this.users.lockByEmail(tx, email);
    if (!user || !isUsable(user, now.getTime())) return null;
    const action = { userId: user.id, sessionId: null, requestedAt };
    return (await this.pending.isAuthorized(tx, action)) ? user : null;
  }

  private async askToVerify(tx: EntityManager, { id, email }: User, requestedAt: Date): Promise<void> {
    const action = { userId: id, sessionId: null, requestedAt };
    const tokenId = await this.tokens.issue(tx, 'email_verification', action, email!);
    await this.outbox.add(tx, email!, VERIFY_EMAIL_MAIL, { tokenId });
  }

  /**
   * It is unknown who set the password of the account. An attacker may have registered first, expecting the owner of
   * the mailbox to sign up as well and to confirm the address for them. So the person who reads the mailbox chooses a
   * new password. While the previous link is valid, the mail contains the same link: an attacker cannot invalidate it
   * by registering once more.
   */
  private async askForPassword(tx: EntityManager, { id, email }: User, requestedAt: Date): Promise<void> {
    await this.tokens.void(tx, id, ['email_verification']);
    const standing = await this.tokens.findOrIssue(tx, 'password_reset', id, email!);
    const tokenId =
      standing && (await this.pending.isAuthorized(tx, standing))
        ? standing.id
        : await this.tokens.issue(tx, 'password_reset', { userId: id, sessionId: null, requestedAt }, email!);
    await this.outbox.add(tx, email!, REGISTERED_AGAIN_MAIL, { tokenId });
  }

  private async tellOfAccount(tx: EntityManager, { id, email }: User, now: Date): Promise<void> {
    if (!(await this.users.mayTell(tx, id, now, TELL_AGAIN_AFTER_MS))) return;
    await this.outbox.add(tx, email!, ALREADY_REGISTERED_MAIL, { at: now.toISOString() });
  }

  private async offerReset(tx: EntityManager, job: RequestedAccountJob, now: Date): Promise<void> {
    const { email, context, requestedAt } = job;
    const user = await this.ownerOf(tx, job, now);
    if (!user) return;
    const action = { userId: user.id, sessionId: null, requestedAt };
    const tokenId = await this.tokens.issue(tx, 'password_reset', action, email);
    await this.audit.record(tx, { type: 'authn_password_reset_requested', userId: user.id, context });
    await this.outbox.add(tx, email, PASSWORD_RESET_MAIL, { tokenId, ...mailContextOf(context, now) });
  }

  /**
   * The old address is told in any case, so the requester does not learn from it whether the new one is taken. If the
   * session that requested the change has ended, no mail is written at all.
   */
  private async askNewAddress(tx: EntityManager, job: RequestedAccountJob, now: Date): Promise<void> {
    if (job.kind !== 'email_change') return;
    const { email, userId, context } = job;
    const owner = await this.users.lockByEmail(tx, email);
    // Never lock both users: two users who request each other's address would deadlock.
    const user = owner ? await this.users.find(userId) : await this.users.lock(tx, userId);
    if (!user?.email || !isUsable(user, now.getTime()) || user.email === email) return;
    if (!(await this.pending.isAuthorized(tx, job))) return;
    if (owner) await this.tellOfAccount(tx, owner, now);
    else {
      const tokenId = await this.tokens.issue(tx, 'email_change', job, email);
      const locale = await this.outbox.localeOf(tx, user.email);
      await this.outbox.add(tx, email, CONFIRM_EMAIL_CHANGE_MAIL, { tokenId }, { locale });
    }
    const told = { newEmail: email, ...mailContextOf(context, now) };
    await this.outbox.add(tx, user.email, EMAIL_CHANGE_REQUESTED_MAIL, told);
  }
}
