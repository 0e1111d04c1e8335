import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext, Principal } from '../../platform/http/request.js';
import { wrongCode } from '../mfa/mfa-management.service.js';
import { SecondFactors } from '../mfa/second-factors.js';
import type { SessionGrant } from '../../sessions/sessions.service.js';
import { StepUpService } from '../../sessions/refresh/step-up.service.js';
import { AttemptLimiter } from '../attempts/attempt-limiter.js';
import { UserRepository } from '../../users/user.repository.js';
import type { Credentials } from '../guards/credentials.js';
import { PasswordsService } from '../passwords/passwords.service.js';

/**
 * Step-up by either factor (ASVS 7.5.3): the session is fresh again, with new tokens. A route that does not accept a
 * password alone is declared with `@RequireSession({ bySecondFactor: true })`.
 */
@Injectable()
export class ReauthenticationService {
  constructor(
    private readonly database: DataSource,
    private readonly users: UserRepository,
    private readonly passwords: PasswordsService,
    private readonly factors: SecondFactors,
    private readonly stepUpService: StepUpService,
    private readonly attemptLimiter: AttemptLimiter,
    private readonly audit: AuditService,
  ) {}

  /** @throws Problem `auth.invalid_credentials`, `request.rate_limited` */
  async byPassword(
    principal: Principal,
    password: string,
    credentials: Credentials,
    context: RequestContext,
  ): Promise<SessionGrant> {
    const { userId, sessionId } = principal;
    const user = await this.users.findWithPassword(userId);
    const { proven } = await this.attemptLimiter.prove(
      { secret: 'password', account: user?.email ?? userId, known: sessionId, context },
      async () => ({ proven: await this.passwords.verify(password, user?.passwordHash) }),
    );
    const grant =
      proven &&
      (await this.stepUpService.rotateKeys(principal, credentials, context, {
        by: 'password',
        recheck: (found) => this.passwords.isStillRight(password, user?.passwordHash, found.passwordHash),
      }));
    if (grant) return grant;
    await this.recordFailure(principal, 'authn_login_fail', context);
    throw new Problem('auth.invalid_credentials');
  }

  /**
   * @throws Problem `auth.invalid_credentials`, also if the user has enrolled no second factor
   * @throws Problem `request.rate_limited`
   */
  async byCode(
    principal: Principal,
    code: string,
    credentials: Credentials,
    context: RequestContext,
  ): Promise<SessionGrant> {
    const { userId, sessionId } = principal;
    const user = await this.users.find(userId);
    const { grant } = await this.attemptLimiter.prove(
      { secret: 'code', account: user?.email ?? userId, known: sessionId, context },
      async () => {
        const grant = await this.stepUpService.rotateKeys(principal, credentials, context, {
          by: 'second_factor',
          recheck: async (found, tx, now) =>
            (await this.factors.useCode(tx, found, code, { context, now })) !== null,
        });
        return { proven: grant !== null, grant };
      },
    );
    if (grant) return grant;
    await this.recordFailure(principal, 'authn_second_factor_fail', context);
    throw wrongCode();
  }

  private async recordFailure(
    { userId, sessionId }: Principal,
    type: 'authn_login_fail' | 'authn_second_factor_fail',
    context: RequestContext,
  ): Promise<void> {
    await this.audit.record(this.database.manager, { type, userId, sessionId, context });
  }
}
