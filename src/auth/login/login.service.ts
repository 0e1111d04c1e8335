import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Clock } from '../../platform/runtime/clock.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext } from '../../platform/http/request.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { LoginChallenges } from '../mfa/login-challenges.js';
import { SecondFactors, type SecondFactorMethod } from '../mfa/second-factors.js';
import { DeviceRecognition } from '../../sessions/devices/device-recognition.js';
import type { SessionGrant } from '../../sessions/sessions.service.js';
import { AttemptLimiter } from '../attempts/attempt-limiter.js';
import { isUsable, type LoginUser, type User } from '../../users/user.entity.js';
import { UserTransactions } from '../../platform/persistence/user-transactions.js';
import { UserRepository } from '../../users/user.repository.js';
import type { Login } from './auth.schemas.js';
import type { Credentials } from '../guards/credentials.js';
import { SessionIssuer } from './session-issuer.service.js';
import { PasswordsService } from '../passwords/passwords.service.js';

/** A user whose password was correct. */
type Proven = Pick<User, 'id' | 'passwordHash'>;

/** The answer to a correct password when a second factor is still required. */
export interface LoginChallengeResult {
  challengeToken: string;
  methods: SecondFactorMethod[];
  /** Seconds. */
  expiresIn: number;
}

/** Login with a password. The result is a session, or a challenge for the second factor. */
@Injectable()
export class LoginService {
  constructor(
    private readonly database: DataSource,
    private readonly transactions: UserTransactions,
    private readonly users: UserRepository,
    private readonly passwords: PasswordsService,
    private readonly factors: SecondFactors,
    private readonly challenges: LoginChallenges,
    private readonly sessionIssuer: SessionIssuer,
    private readonly deviceRecognition: DeviceRecognition,
    private readonly attemptLimiter: AttemptLimiter,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * @throws Problem `auth.invalid_credentials`; unknown address, wrong password, banned user and unverified user look
   *   alike
   * @throws Problem `request.rate_limited`
   */
  async login(
    login: Login,
    credentials: Credentials,
    context: RequestContext,
  ): Promise<SessionGrant | LoginChallengeResult> {
    const { email, password, transport, deviceName } = login;
    const { deviceToken } = credentials;
    const known = deviceToken ? await this.deviceRecognition.idOf(email, deviceToken) : null;
    const { user, proven, failedBefore } = await this.attemptLimiter.prove(
      { secret: 'password', account: email, known, context },
      async () => {
        const user = await this.users.findForLogin(email);
        // Accounts that may not log in (banned, unverified) are verified against the decoy hash, so neither timing
        // nor the attempt counter reveals whether the password was right.
        const hash = user && this.mayEnter(user) ? user.passwordHash : null;
        return { user, proven: await this.passwords.verify(password, hash) };
      },
    );
    if (!user || !proven) return this.refuse(user, context);
    const opening = { userId: user.id, transport, deviceToken, deviceName, context, failedBefore };
    let isEnrolled = false;
    const grant = await this.sessionIssuer.issue(opening, credentials, async (found, tx) => {
      if (!(await this.passwords.isStillRight(password, user.passwordHash, found.passwordHash))) return false;
      isEnrolled = await this.factors.isEnrolled(tx, found.id);
      return !isEnrolled;
    });
    const challenged = isEnrolled
      ? await this.challenge(user, login, credentials, context, failedBefore)
      : null;
    if (!grant) return challenged ?? this.refuse(user, context);
    if (this.passwords.isOutdated(user.passwordHash!)) await this.rehash(user, password);
    return grant;
  }

  /** @returns null for a user that a login without a second factor would also refuse */
  private async challenge(
    user: Proven,
    { password, transport, deviceName }: Login,
    { deviceToken }: Credentials,
    context: RequestContext,
    failedBefore: number,
  ): Promise<LoginChallengeResult | null> {
    // Rehash before the challenge is issued: the challenge is bound to the hash, and only now is the password known.
    if (this.passwords.isOutdated(user.passwordHash!)) await this.rehash(user, password);
    return this.transactions.run(user.id, async (tx) => {
      const found = await this.users.lock(tx, user.id);
      const now = await databaseNow(tx, this.clock);
      if (!found || !isUsable(found, now.getTime())) return null;
      if (!this.sessionIssuer.admits(found)) return null;
      if (!(await this.passwords.isStillRight(password, user.passwordHash, found.passwordHash))) return null;
      const methods = await this.factors.methodsOf(tx, found.id);
      const begun = { transport, deviceName, deviceToken };
      const { token, expiresIn } = await this.challenges.begin(tx, found, begun, now);
      await this.audit.record(tx, {
        type: 'authn_second_factor_asked',
        userId: found.id,
        context,
        details: failedBefore ? { failedBefore } : undefined,
      });
      return { challengeToken: token, methods, expiresIn };
    });
  }

  private mayEnter(user: LoginUser): boolean {
    return this.sessionIssuer.admits(user) && isUsable(user, this.clock.now());
  }

  private async refuse(user: Proven | null, context: RequestContext): Promise<never> {
    await this.audit.record(this.database.manager, { type: 'authn_login_fail', userId: user?.id, context });
    throw new Problem('auth.invalid_credentials');
  }

  /**
   * Stores a hash with the current parameters, by compare-and-set: a password that was changed meanwhile stays
   * changed. If the update cannot be made now, the next login tries again.
   */
  private async rehash({ id, passwordHash }: Proven, password: string): Promise<void> {
    try {
      const renewed = await this.passwords.hash(password);
      await this.users.rehash(id, passwordHash, renewed);
    } catch (error) {
      this.logger.debug({ err: error }, 'an outdated password hash could not be replaced yet');
    }
  }
}
