import { Injectable } from '@nestjs/common';
import type { ActorContext } from '../../platform/api/actor.decorator.js';
import { Problem } from '../../platform/api/problem.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { Clock } from '../../platform/runtime/clock.js';
import type { Receipt } from '../../sessions/revocation/receipt.js';
import { RevocationWriter, type RevocationTx } from '../../sessions/revocation/revocation-writer.js';
import { RevocationService } from '../../sessions/revocation/revocation.service.js';
import { UserRepository } from '../../users/user.repository.js';
import { SECOND_FACTOR_RESET_MAIL } from './mails.js';
import { SecondFactors } from './second-factors.js';

/** The reset of second factors by an admin. */
@Injectable()
export class MfaResetService {
  constructor(
    private readonly users: UserRepository,
    private readonly factors: SecondFactors,
    private readonly mails: MailOutbox,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocations: RevocationService,
    private readonly clock: Clock,
  ) {}

  /**
   * For a user who has lost all factors: removes them and ends all sessions.
   *
   * @throws Problem `resource.not_found` when the user does not exist or has no second factor
   */
  reset(userId: string, { actorId, context }: ActorContext): Promise<Receipt> {
    const work = async (tx: RevocationTx) => {
      const user = await this.users.lock(tx, userId);
      if (!user?.email || !(await this.factors.removeAll(tx, userId)))
        throw new Problem('resource.not_found');
      const now = await databaseNow(tx, this.clock);
      await this.mails.add(tx, user.email, SECOND_FACTOR_RESET_MAIL, { at: now.toISOString() });
      return this.revocationWriter.endSessions(tx, userId, 'all', {
        reason: 'mfa_change',
        actorId,
        context,
        audit: 'authn_second_factor_reset',
      });
    };
    return this.revocations.commit(userId, work, { reserved: true });
  }
}
