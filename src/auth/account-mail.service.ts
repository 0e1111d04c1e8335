import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { MailedTokens } from '../mail/mailed-tokens.js';
import { MailOutbox } from '../mail/mail-outbox.js';
import { circumstances } from '../sessions/circumstances.js';
import { PendingActions } from '../sessions/pending-actions.service.js';
import { isUsable, type User } from '../users/user.entity.js';
import { UsersService } from '../users/users.service.js';
import type { RequestedErrand } from './errand.js';

/** Any client can trigger a mail to any address by registering with it, but at most once per hour. */
const TELL_AGAIN_AFTER_MS = 3_600_000;
/** A user who registers again has probably lost the first mail, so the next one may follow after a minute. */
const VERIFY_AGAIN_AFTER_MS = 60_000;

/** Writes the mails for requests that name an account or an address. All methods run in the caller's transaction. */
@Injectable()
export class AccountMail {
  constructor(
    private readonly users: UsersService,
    private readonly tokens: MailedTokens,
    private readonly outbox: MailOutbox,
    private readonly pending: PendingActions,
    private readonly audit: AuditService,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /** Call this under `shareEpoch`: requests made before a global logout are void as well. */
  async handle(tx: EntityManager, errand: RequestedErrand, now: Date): Promise<void> {
    switch (errand.kind) {
      case 'registered':
      case 'registered_taken':
        return this.afterRegistration(tx, errand, now);
      case 'password_forgotten':
        return this.offerReset(tx, errand, now);
      case 'email_change':
        return this.askNewAddress(tx, errand, now);
    }
  }

  private async afterRegistration(tx: EntityManager, errand: RequestedErrand, now: Date): Promise<void> {
    const { kind, requestedAt } = errand;
    const user = await this.ownerOf(tx, errand, now);
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
    { email, requestedAt }: RequestedErrand,
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
    await this.outbox.add(tx, email!, 'verify_email', { tokenId });
  }

  /**
   * It is unknown who set the password of the account. An attacker may have registered first, expecting the owner of
   * the mailbox to sign up as well and to confirm the address for them. So the person who reads the mailbox chooses a
   * new password. While the previous link is valid, the mail contains the same link: an attacker cannot invalidate it
   * by registering once more.
   */
  private async askForPassword(tx: EntityManager, { id, email }: User, requestedAt: Date): Promise<void> {
    await this.tokens.void(tx, id, ['email_verification']);
    const standing = await this.tokens.standing(tx, 'password_reset', id, email!);
    const tokenId =
      standing && (await this.pending.isAuthorized(tx, standing))
        ? standing.id
        : await this.tokens.issue(tx, 'password_reset', { userId: id, sessionId: null, requestedAt }, email!);
    await this.outbox.add(tx, email!, 'registered_again', { tokenId });
  }

  private async tellOfAccount(tx: EntityManager, { id, email }: User, now: Date): Promise<void> {
    if (!(await this.users.mayTell(tx, id, now, TELL_AGAIN_AFTER_MS))) return;
    await this.outbox.add(tx, email!, 'already_registered', { at: now.toISOString() });
  }

  private async offerReset(tx: EntityManager, errand: RequestedErrand, now: Date): Promise<void> {
    const { email, origin, requestedAt } = errand;
    const user = await this.ownerOf(tx, errand, now);
    if (!user) return;
    const action = { userId: user.id, sessionId: null, requestedAt };
    const tokenId = await this.tokens.issue(tx, 'password_reset', action, email);
    await this.audit.record(tx, { type: 'authn_password_reset_requested', userId: user.id, origin });
    await this.outbox.add(tx, email, 'password_reset', { tokenId, ...circumstances(origin, now) });
  }

  /**
   * The old address is told in any case, so the requester does not learn from it whether the new one is taken. If the
   * session that requested the change has ended, no mail is written at all.
   */
  private async askNewAddress(tx: EntityManager, errand: RequestedErrand, now: Date): Promise<void> {
    if (errand.kind !== 'email_change') return;
    const { email, userId, origin } = errand;
    const owner = await this.users.lockByEmail(tx, email);
    // Never lock both users: two users who request each other's address would deadlock.
    const user = owner ? await this.users.find(userId) : await this.users.lock(tx, userId);
    if (!user?.email || !isUsable(user, now.getTime()) || user.email === email) return;
    if (!(await this.pending.isAuthorized(tx, errand))) return;
    if (owner) await this.tellOfAccount(tx, owner, now);
    else {
      const tokenId = await this.tokens.issue(tx, 'email_change', errand, email);
      await this.outbox.add(tx, email, 'confirm_email_change', { tokenId });
    }
    const told = { newEmail: email, ...circumstances(origin, now) };
    await this.outbox.add(tx, user.email, 'email_change_requested', told);
  }
}
