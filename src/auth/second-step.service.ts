import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { Problem } from '../common/problem.js';
import type { Origin } from '../common/request.js';
import { isSameDevice, LoginChallenges, type LoginChallenge } from '../second-factor/login-challenges.js';
import { wrongCode } from '../second-factor/second-factor-changes.js';
import { SecondFactors } from '../second-factor/second-factors.js';
import { DevicesService } from '../sessions/devices.service.js';
import type { SessionGrant, StillProven } from '../sessions/sessions.service.js';
import { Guesses } from '../throttle/guesses.js';
import type { Credentials } from './credentials.js';
import { Entrance } from './entrance.service.js';

/** The second step of a login; `LoginService` has the first. */
@Injectable()
export class SecondStep {
  constructor(
    private readonly database: DataSource,
    private readonly challenges: LoginChallenges,
    private readonly factors: SecondFactors,
    private readonly entrance: Entrance,
    private readonly devices: DevicesService,
    private readonly guesses: Guesses,
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
    presented: Credentials,
    origin: Origin,
  ): Promise<SessionGrant> {
    const challenge = await this.find(challengeToken, presented);
    const { email: account, userId } = challenge;
    const deviceToken = challenge.deviceDigest && presented.deviceToken;
    const known = deviceToken ? await this.devices.idOf(account, deviceToken) : null;
    const { transport, deviceName } = challenge;
    const opening = { userId, transport, deviceName, deviceToken, origin, secondFactor: 'code' };
    // A refused login consumes neither the code nor the challenge. A successful one consumes both.
    const stillProven: StillProven = async (user, tx, now) => {
      if (!(await this.challenges.isGood(tx, challenge, now))) throw new Problem('auth.invalid_token');
      if (!(await this.factors.useCode(tx, user, code, { origin, now }))) return false;
      await this.challenges.use(tx, challenge);
      return true;
    };
    const { grant } = await this.guesses.prove({ secret: 'code', account, known, origin }, async () => {
      const grant = await this.entrance.open(opening, presented, stillProven);
      return { proven: grant !== null, grant };
    });
    return grant ?? this.refuse(userId, origin);
  }

  private async find(challengeToken: string, { deviceToken }: Credentials): Promise<LoginChallenge> {
    const challenge = await this.challenges.find(challengeToken);
    if (!challenge || !isSameDevice(challenge, deviceToken)) throw new Problem('auth.invalid_token');
    return challenge;
  }

  private async refuse(userId: string, origin: Origin): Promise<never> {
    await this.audit.record(this.database.manager, { type: 'authn_second_factor_fail', userId, origin });
    throw wrongCode();
  }
}
