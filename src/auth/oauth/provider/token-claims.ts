import { Injectable } from '@nestjs/common';
import { Clock } from '../../../platform/runtime/clock.js';
import { isUsable } from '../../../users/user.entity.js';
import { UserRepository } from '../../../users/user.repository.js';
import { GrantCheck } from '../check/grant-check.js';
import { GrantRepository } from '../grant.repository.js';
import { OAuthResources } from './resources.js';

/** The contents of tokens for apps. */
@Injectable()
export class TokenClaims {
  constructor(
    private readonly resources: OAuthResources,
    private readonly grantCheck: GrantCheck,
    private readonly grants: GrantRepository,
    private readonly users: UserRepository,
    private readonly clock: Clock,
  ) {}

  /**
   * The claims of an access token. The grant is read once more after `iat` was set. So a grant that ends later is on the
   * denial list for longer than the token lives, however late the token is signed.
   *
   * @returns null if the grant has ended
   */
  async ofAccessToken(
    { grantId }: { grantId: string },
    { aud, client_id, sub, jti, iat, exp, scope }: Record<string, unknown> & { exp: number; scope?: string },
  ): Promise<Record<string, unknown> | null> {
    const grant = await this.grantCheck.live(grantId);
    if (!grant) return null;
    await this.grants.noteUse(grantId, new Date(this.clock.now()));
    const resource = this.resources.find(String(aud))!;
    const scopes = this.resources.grantable(resource, (scope ?? '').split(' '), grant.ownerRoles);
    return {
      iss: this.resources.issuer,
      aud,
      sub,
      client_id,
      scope: scopes.join(' '),
      grant_id: grant.id,
      ...(grant.sessionId !== null && { sid: grant.sessionId }),
      jti,
      iat,
      exp: Math.min(exp, Math.floor(grant.endsAt / 1_000)),
    };
  }

  /** @returns undefined for a user who may not log in */
  async ofUser(id: string) {
    const user = await this.users.find(id);
    if (!user || !isUsable(user, this.clock.now())) return undefined;
    return {
      accountId: id,
      claims: () => ({
        sub: id,
        email: user.email ?? undefined,
        email_verified: user.emailVerifiedAt !== null,
        name: user.displayName ?? undefined,
      }),
    };
  }
}
