import { Injectable } from '@nestjs/common';
import { AuditService } from '../../platform/audit/audit.service.js';
import type { ActorContext } from '../../platform/api/actor.decorator.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext, Principal } from '../../platform/http/request.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { PasskeyRepository, type Passkey } from './passkey.repository.js';
import { SecondFactors } from '../mfa/second-factors.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import { CredentialChangeService } from '../../sessions/refresh/credential-change.service.js';
import type { SessionGrant } from '../../sessions/sessions.service.js';
import { UserTransactions } from '../../platform/persistence/user-transactions.js';
import { UserRepository } from '../../users/user.repository.js';
import { PASSKEY_REMOVED_MAIL } from './mails.js';

/** Renames and removes the passkeys of a user. */
@Injectable()
export class PasskeyManagementService {
  constructor(
    private readonly transactions: UserTransactions,
    private readonly users: UserRepository,
    private readonly passkeys: PasskeyRepository,
    private readonly factors: SecondFactors,
    private readonly credentialChange: CredentialChangeService,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
  ) {}

  /** @returns null if the user has no such passkey */
  async rename(
    userId: string,
    id: string,
    name: string,
    { actorId, context }: ActorContext,
  ): Promise<Passkey | null> {
    const renamed = await this.transactions.run(userId, async (tx) => {
      await this.users.lock(tx, userId);
      if (!(await this.passkeys.rename(tx, userId, id, name))) return false;
      const details = { passkey: id };
      await this.audit.record(tx, { type: 'authn_passkey_renamed', actorId, userId, context, details });
      return true;
    });
    const passkeys = renamed ? await this.passkeys.of(userId) : [];
    return passkeys.find((passkey) => passkey.id === id) ?? null;
  }

  /**
   * Removes a passkey and ends every other session, so that sessions opened with it end as well.
   * @throws Problem `resource.not_found`, `auth.session_ended`
   */
  async remove(principal: Principal, id: string, context: RequestContext): Promise<SessionGrant | null> {
    const { userId } = principal;
    const rekeyed = await this.credentialChange.run(principal, {
      cause: passkeyChange('authn_passkey_removed', id, { actorId: userId, context }),
      act: async (tx, { email }, now, session) => {
        await this.factors.requireProof(tx, session);
        const name = await this.passkeys.remove(tx, userId, id);
        if (name === null) throw new Problem('resource.not_found');
        await this.mails.add(tx, email!, PASSKEY_REMOVED_MAIL, { name, ...mailContextOf(context, now) });
        return (await this.factors.hasAny(tx, userId)) ? {} : { secondFactorAt: null };
      },
    });
    return rekeyed?.grant ?? null;
  }
}

/** The cause of a change of credentials, for the sessions that it ends. */
export function passkeyChange(
  audit: 'authn_passkey_added' | 'authn_passkey_removed',
  passkey: string,
  acting: { actorId: string; context: RequestContext },
) {
  return { ...acting, reason: 'mfa_change', audit, details: { passkey } } as const;
}
