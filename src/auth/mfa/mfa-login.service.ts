import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext } from '../../platform/http/request.js';
import { isSameDevice, LoginChallenges, type LoginChallenge } from './login-challenges.js';
import { wrongCode } from './mfa-management.service.js';
import { SecondFactors } from './second-factors.js';
import { DeviceRecognition } from '../../sessions/devices/device-recognition.js';
import type { SessionGrant, ProofRecheck } from '../../sessions/sessions.service.js';
import { AttemptLimiter } from '../attempts/attempt-limiter.js';
import type { Credentials } from '../guards/credentials.js';
import { SessionIssuer } from '../login/session-issuer.service.js';

/** The second step of a login; `LoginService` has the first. */
@Injectable()
export class MfaLoginService {
  constructor(
    private readonly database: DataSource,
    private readonly challenges: LoginChallenges,
    private readonly factors: SecondFactors,
    private readonly sessionIssuer: SessionIssuer,
    private readonly deviceRecognition: DeviceRecognition,
    private readonly attemptLimiter: AttemptLimiter,
    private readonly audit: AuditService,
  ) {}

  /**
   * Completes a login with a code.
   * @throws Problem `auth.invalid_token` if the login has to begin again
   * @throws Problem `auth.invalid_credentials` if another code may be tried
   * @throws Problem `request.rate_limited`
   */
  async complete(
    { challengeToken, code }: { challengeToken: string; code: string },
    credentials: Credentials,
    context: RequestContext,
  ): Promise<SessionGrant> {
    const challenge = await this.find(challengeToken, credentials);
    const { email: account, userId } = challenge;
    const deviceToken = challenge.deviceDigest && credentials.deviceToken;
    const known = deviceToken ? await this.deviceRecognition.idOf(account, deviceToken) : null;
    const { transport, deviceName } = challenge;
    const origin = challenge.origin ?? undefined;
    const opening = { userId, transport, deviceName, deviceToken, context, secondFactor: 'code', origin };
    // A refused login consumes neither the code nor the challenge. A successful one consumes both.
    const recheck: ProofRecheck = async (user, tx, now) => {
      if (!(await this.challenges.isGood(tx, challenge, now))) throw new Problem('auth.invalid_token');
      if (!(await this.factors.useCode(tx, user, code, { context, now }))) return false;
      await this.challenges.use(tx, challenge);
      return true;
    };
    const { grant } = await this.attemptLimiter.prove(
      { secret: 'code', account, known, context },
      async () => {
        const grant = await this.sessionIssuer.issue(opening, credentials, recheck);
        return { proven: grant !== null, grant };
      },
    );
    return grant ?? this.refuse(userId, context);
  }

  private async find(challengeToken: string, { deviceToken }: Credentials): Promise<LoginChallenge> {
    const challenge = await this.challenges.find(challengeToken);
    if (!challenge || !isSameDevice(challenge, deviceToken)) throw new Problem('auth.invalid_token');
    return challenge;
  }

  private async refuse(userId: string, context: RequestContext): Promise<never> {
    await this.audit.record(this.database.manager, { type: 'authn_second_factor_fail', userId, context });
    throw wrongCode();
  }
}
