import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import type { RequestContext } from '../../platform/http/request.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { UserTransactions } from '../../platform/persistence/user-transactions.js';
import { Clock } from '../../platform/runtime/clock.js';
import { random } from '../../platform/runtime/random.js';
import type { SessionGrant } from '../../sessions/sessions.service.js';
import { isUsable } from '../../users/user.entity.js';
import { UserRepository } from '../../users/user.repository.js';
import { displayName } from '../../users/user.schemas.js';
import type { Credentials } from '../guards/credentials.js';
import { SessionIssuer } from '../login/session-issuer.service.js';
import { LoginChallenges } from '../mfa/login-challenges.js';
import { SecondFactors, type SecondFactorMethod } from '../mfa/second-factors.js';
import { IdentityRepository, type Identity } from './identity.repository.js';
import type { OutsideProfile } from './social-clients.js';

/** Why a sign-in with an outside account ends without a session. */
export type SocialRefusal = 'email_unverified' | 'account_exists' | 'not_allowed';

/** The result of a sign-in: a session, a challenge for the second factor, or why there is neither. */
export type SocialOutcome =
  | { grant: SessionGrant }
  | { challengeToken: string; methods: SecondFactorMethod[] }
  | { refusal: SocialRefusal };

/**
 * Login with an outside account. The session is an ordinary one. An outside account is never linked to an existing user
 * by its address alone: a user of the provider who has that address there would take the account over.
 */
@Injectable()
export class SocialLoginService {
  constructor(
    private readonly database: DataSource,
    private readonly identities: IdentityRepository,
    private readonly users: UserRepository,
    private readonly transactions: UserTransactions,
    private readonly sessionIssuer: SessionIssuer,
    private readonly factors: SecondFactors,
    private readonly challenges: LoginChallenges,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  async login(
    profile: OutsideProfile,
    provider: string,
    credentials: Credentials,
    context: RequestContext,
  ): Promise<SocialOutcome> {
    const found = await this.identities.find(profile);
    const identity = found ?? (await this.register(profile, provider, context));
    if (typeof identity === 'string') return this.refuse(identity, provider, context);
    return this.enter(identity, profile, credentials, context);
  }

  /** A first sign-in makes a new user, if the provider has verified the address and no user has it. */
  private async register(
    profile: OutsideProfile,
    provider: string,
    context: RequestContext,
  ): Promise<Identity | SocialRefusal> {
    const { email } = profile;
    if (!email || !profile.isEmailVerified) return 'email_unverified';
    await this.database.transaction(async (tx) => {
      const now = await databaseNow(tx, this.clock);
      const userId = await this.users.create(tx, {
        email,
        passwordHash: null,
        displayName: displayName.safeParse(profile.name).data ?? null,
        emailVerifiedAt: now,
        createdAt: now,
      });
      if (!userId) return;
      const id = random.uuidAt(now.getTime());
      const { issuer, subject } = profile;
      await this.identities.add(tx, { id, userId, issuer, subject, provider, email, createdAt: now });
      await this.audit.record(tx, { type: 'user_created', userId, context, details: { provider } });
    });
    // Read again: a sign-in at the same time may have made the user.
    return (await this.identities.find(profile)) ?? 'account_exists';
  }

  private async enter(
    identity: Identity,
    profile: OutsideProfile,
    credentials: Credentials,
    context: RequestContext,
  ): Promise<SocialOutcome> {
    const { userId, provider } = identity;
    const { deviceToken } = credentials;
    const begun = {
      transport: 'cookie',
      deviceToken,
      origin: { identityId: identity.id, sid: profile.sid },
    } as const;
    let isEnrolled = false;
    const opening = { ...begun, userId, context };
    const grant = await this.sessionIssuer.issue(opening, credentials, async (user, tx, now) => {
      if ((await this.identities.find(profile, tx))?.userId !== user.id) return false;
      isEnrolled = await this.factors.isEnrolled(tx, user.id);
      await this.identities.noteUse(tx, identity.id, profile.email, now);
      return !isEnrolled;
    });
    if (grant) return { grant };
    if (!isEnrolled) return this.refuse('not_allowed', provider, context, userId);
    return this.transactions.run(userId, async (tx): Promise<SocialOutcome> => {
      const user = await this.users.lock(tx, userId);
      const now = await databaseNow(tx, this.clock);
      const mayEnter = user && isUsable(user, now.getTime()) && this.sessionIssuer.admits(user);
      if (!mayEnter || (await this.identities.find(profile, tx))?.userId !== userId)
        return { refusal: 'not_allowed' };
      const methods = await this.factors.methodsOf(tx, userId);
      const { token } = await this.challenges.begin(tx, user, begun, now);
      await this.audit.record(tx, {
        type: 'authn_second_factor_asked',
        userId,
        context,
        details: { provider },
      });
      return { challengeToken: token, methods };
    });
  }

  private async refuse(
    refusal: SocialRefusal,
    provider: string,
    context: RequestContext,
    userId?: string,
  ): Promise<SocialOutcome> {
    const details = { by: provider, refusal };
    await this.audit.record(this.database.manager, { type: 'authn_login_fail', userId, context, details });
    return { refusal };
  }
}
