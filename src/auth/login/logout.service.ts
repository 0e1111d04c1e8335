import { Injectable } from '@nestjs/common';
import type { RequestContext, Principal } from '../../platform/http/request.js';
import { RefreshService } from '../../sessions/refresh/refresh.service.js';
import { RevocationService } from '../../sessions/revocation/revocation.service.js';
import { AccessTokens } from '../tokens/access-tokens.js';
import type { Credentials } from '../guards/credentials.js';

export type NamedSession = Pick<Principal, 'sessionId' | 'userId'>;

/** Ends sessions for a client that holds their tokens. */
@Injectable()
export class LogoutService {
  constructor(
    private readonly refreshes: RefreshService,
    private readonly revocations: RevocationService,
    private readonly tokens: AccessTokens,
  ) {}

  /**
   * Ends the session of every authentic token in the request, including expired ones. A request without such a token
   * is no error.
   */
  async logout(
    credentials: Credentials,
    refreshToken: string | undefined,
    context: RequestContext,
  ): Promise<void> {
    const named = new Map<string, NamedSession>();
    const { accessToken, transport } = credentials;
    const byAccess = accessToken && transport && this.tokens.authenticate(accessToken, transport);
    if (byAccess) named.set(byAccess.sessionId, byAccess);
    const inCookie =
      credentials.refreshToken && (await this.refreshes.sessionOf(credentials.refreshToken, 'cookie'));
    const inBody = refreshToken && (await this.refreshes.sessionOf(refreshToken, 'bearer'));
    for (const session of [inCookie, inBody]) if (session) named.set(session.sessionId, session);
    for (const session of named.values()) await this.end(session, context);
  }

  /**
   * The session that a login in the same browser replaces. It should end, because no client could use or end it any
   * more (ASVS 7.2.4).
   */
  async sessionInJar({ transport, accessToken, refreshToken }: Credentials): Promise<NamedSession | null> {
    if (transport !== 'cookie') return null;
    const byAccess = accessToken ? this.tokens.authenticate(accessToken, transport) : null;
    return byAccess ?? (refreshToken ? this.refreshes.sessionOf(refreshToken, transport) : null);
  }

  /** Ends one session with the reason `logout`. */
  async end({ sessionId, userId }: NamedSession, context: RequestContext): Promise<void> {
    await this.revocations.endSession(sessionId, { reason: 'logout', actorId: userId, context }, userId);
  }
}
