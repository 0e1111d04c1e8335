import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { Problem } from '../common/problem.js';
import type { Origin, Principal } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { DevicesService } from '../sessions/devices.service.js';
import { RefreshService } from '../sessions/refresh.service.js';
import { RevocationService } from '../sessions/revocation.service.js';
import { SessionsService, type SessionGrant } from '../sessions/sessions.service.js';
import { Guesses } from '../throttle/guesses.js';
import type { User } from '../users/user.entity.js';
import { UsersService } from '../users/users.service.js';
import { AccessTokens } from './access-tokens.js';
import type { Login } from './auth.schemas.js';
import type { Credentials } from './credentials.js';
import { PasswordsService } from './passwords.service.js';

type NamedSession = Pick<Principal, 'sessionId' | 'userId'>;

/** Getting in and out: log in, log out, prove it again. */
@Injectable()
export class LoginService {
  constructor(
    private readonly database: DataSource,
    private readonly users: UsersService,
    private readonly passwords: PasswordsService,
    private readonly sessions: SessionsService,
    private readonly refreshes: RefreshService,
    private readonly revocations: RevocationService,
    private readonly tokens: AccessTokens,
    private readonly devices: DevicesService,
    private readonly guesses: Guesses,
    private readonly audit: AuditService,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /** @throws Problem `auth.invalid_credentials`: unknown address, wrong password, banned and unverified user look alike; `request.rate_limited` */
  async login(
    { email, password, transport, deviceName }: Login,
    presented: Credentials,
    origin: Origin,
  ): Promise<SessionGrant> {
    const { deviceToken } = presented;
    const known = deviceToken ? await this.devices.idOf(email, deviceToken) : null;
    const { user, proven, failedBefore } = await this.guesses.prove(
      { secret: 'password', account: email, known, origin },
      async () => {
        const user = await this.users.findForLogin(email);
        return { user, proven: await this.passwords.verify(password, user?.passwordHash) };
      },
    );
    if (!user || !proven) return this.refuse(user, origin);
    const inJar = transport === 'cookie' ? await this.sessionInJar(presented) : null;
    const opening = {
      userId: user.id,
      transport,
      deviceToken,
      deviceName,
      origin,
      failedBefore,
      replaces: inJar?.userId === user.id ? inJar.sessionId : undefined,
    };
    const stillProven = (found: User) => hasStill(user.passwordHash)(found) && this.mayLogIn(found);
    const grant = await this.sessions.open(opening, stillProven);
    if (!grant) return this.refuse(user, origin);
    if (inJar && inJar.userId !== user.id) await this.end(inJar, origin);
    if (this.passwords.isOutdated(user.passwordHash!)) await this.rehash(user, password);
    return grant;
  }

  /**
   * The session is fresh again, with a new pair of tokens.
   * @throws Problem `auth.invalid_credentials`, `request.rate_limited`
   */
  async reauthenticate(
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
    if (!user || !proven) return this.refuse(user, origin, sessionId);
    const grant = await this.refreshes.renewFresh(principal, presented, origin, hasStill(user.passwordHash));
    return grant ?? this.refuse(user, origin, sessionId);
  }

  /** Ends the session of whatever authentic token is shown, also an expired one. Nothing to end is no error. */
  async logout(presented: Credentials, refreshToken: string | undefined, origin: Origin): Promise<void> {
    const named = new Map<string, NamedSession>();
    const byAccess = presented.accessToken && this.tokens.authenticate(presented.accessToken);
    if (byAccess) named.set(byAccess.sessionId, byAccess);
    for (const token of [presented.refreshToken, refreshToken]) {
      const session = token ? await this.refreshes.sessionOf(token) : null;
      if (session) named.set(session.sessionId, session);
    }
    for (const session of named.values()) await this.end(session, origin);
  }

  /** The session whose cookies the new ones take the place of: nobody could use or end it from there any more (ASVS 7.2.4). */
  private async sessionInJar({
    transport,
    accessToken,
    refreshToken,
  }: Credentials): Promise<NamedSession | null> {
    if (transport !== 'cookie') return null;
    const byAccess = accessToken ? this.tokens.authenticate(accessToken) : null;
    return byAccess ?? (refreshToken ? this.refreshes.sessionOf(refreshToken) : null);
  }

  private async end({ sessionId, userId }: NamedSession, origin: Origin): Promise<void> {
    await this.revocations.endSession(sessionId, { reason: 'logout', actorId: userId, origin }, userId);
  }

  private async refuse(user: User | null, origin: Origin, sessionId?: string): Promise<never> {
    await this.audit.record(this.database.manager, {
      type: 'authn_login_fail',
      userId: user?.id,
      sessionId,
      origin,
    });
    throw new Problem('auth.invalid_credentials');
  }

  private mayLogIn({ emailVerifiedAt }: User): boolean {
    return this.settings.emailVerification === 'off' || emailVerifiedAt !== null;
  }

  /** Compare-and-set: a password that was changed meanwhile stays changed. */
  private async rehash({ id, passwordHash }: User, password: string): Promise<void> {
    const renewed = await this.passwords.hash(password);
    await this.database.query('update users set password_hash = $3 where id = $1 and password_hash = $2', [
      id,
      passwordHash,
      renewed,
    ]);
  }
}

function hasStill(passwordHash: string | null): (user: User) => boolean {
  return (user) => user.passwordHash === passwordHash;
}
