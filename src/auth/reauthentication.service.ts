import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { Problem } from '../common/problem.js';
import type { Origin, Principal } from '../common/request.js';
import { wrongCode } from '../second-factor/second-factor-changes.js';
import { SecondFactors } from '../second-factor/second-factors.js';
import type { SessionGrant } from '../sessions/sessions.service.js';
import { StepUp } from '../sessions/step-up.service.js';
import { Guesses } from '../throttle/guesses.js';
import { UsersService } from '../users/users.service.js';
import type { Credentials } from './credentials.js';
import { PasswordsService } from './passwords.service.js';

/**
 * Step-up by either factor (ASVS 7.5.3): the session is fresh again, with new tokens. A route that does not accept a
 * password alone is declared with `@RequireSession({ bySecondFactor: true })`.
 */
@Injectable()
export class ReauthenticationService {
  constructor(
    private readonly database: DataSource,
    private readonly users: UsersService,
    private readonly passwords: PasswordsService,
    private readonly factors: SecondFactors,
    private readonly stepUp: StepUp,
    private readonly guesses: Guesses,
    private readonly audit: AuditService,
  ) {}

  /** @throws Problem `auth.invalid_credentials`, `request.rate_limited` */
  async byPassword(
    principal: Principal,
    password: string,
    presented: Credentials,
    origin: Origin,
  ): Promise<SessionGrant> {
    const { userId, sessionId } = principal;
    const user = await this.users.findWithPassword(userId);
    const { proven } = await this.guesses.prove(
      { secret: 'password', account: user?.email ?? userId, known: sessionId, origin },
      async () => ({ proven: await this.passwords.verify(password, user?.passwordHash) }),
    );
    const grant =
      proven &&
      (await this.stepUp.renew(principal, presented.deviceToken, origin, {
        by: 'password',
        stillProven: (found) => this.passwords.isStillRight(password, user?.passwordHash, found.passwordHash),
      }));
    if (grant) return grant;
    await this.recordFailure(principal, 'authn_login_fail', origin);
    throw new Problem('auth.invalid_credentials');
  }

  /**
   * @throws Problem `auth.invalid_credentials`, also if the user has enrolled no second factor
   * @throws Problem `request.rate_limited`
   */
  async byCode(
    principal: Principal,
    code: string,
    presented: Credentials,
    origin: Origin,
  ): Promise<SessionGrant> {
    const { userId, sessionId } = principal;
    const user = await this.users.find(userId);
    const { grant } = await this.guesses.prove(
      { secret: 'code', account: user?.email ?? userId, known: sessionId, origin },
      async () => {
        const grant = await this.stepUp.renew(principal, presented.deviceToken, origin, {
          by: 'second_factor',
          stillProven: async (found, tx, now) =>
            (await this.factors.useCode(tx, found, code, { origin, now })) !== null,
        });
        return { proven: grant !== null, grant };
      },
    );
    if (grant) return grant;
    await this.recordFailure(principal, 'authn_second_factor_fail', origin);
    throw wrongCode();
  }

  private async recordFailure(
    { userId, sessionId }: Principal,
    type: 'authn_login_fail' | 'authn_second_factor_fail',
    origin: Origin,
  ): Promise<void> {
    await this.audit.record(this.database.manager, { type, userId, sessionId, origin });
  }
}
