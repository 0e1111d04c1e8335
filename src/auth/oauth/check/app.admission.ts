import { Injectable, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { metadataReader } from '../../../platform/api/cached-metadata.js';
import { Problem } from '../../../platform/api/problem.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { Settings } from '../../../platform/settings/settings.js';
import { mayHave, type Scope } from '../../../scopes.js';
import { SessionRoute } from '../../../sessions/check/require-session.decorator.js';
import { DenialList } from '../../../sessions/revocation/denial-list.js';
import { RevocationSubscriber } from '../../../sessions/revocation/revocation-subscriber.js';
import type { Admission, RouteContext } from '../../open-connections/admission.js';
import type { DelegateAdmission } from '../../delegates/delegate-admission.js';
import { DelegateAdmissions } from '../../delegates/delegate-admissions.js';
import { ScopedRoute, type ScopedRouteOptions } from '../../guards/allow-scope.decorator.js';
import type { Credentials } from '../../guards/credentials.js';
import type { AppCaller } from '../grant.js';
import { OAuthResources } from '../provider/resources.js';
import { oauthSettings } from '../settings.js';
import { AppTokens, type AppTokenClaims } from './app-token.js';
import { GrantCheck, type LiveGrant } from './grant-check.js';

const MINUTE_MS = 60_000;

/** The part of the access guard that admits requests with an access token of an app. */
@Injectable()
export class AppAdmission implements DelegateAdmission<AppTokenClaims> {
  readonly securityScheme: DelegateAdmission['securityScheme'];
  private readonly routeOf = metadataReader(ScopedRoute);
  private readonly sessionOf = metadataReader(SessionRoute);
  private readonly requestsPerMinute: number;

  constructor(
    private readonly tokens: AppTokens,
    private readonly grants: GrantCheck,
    private readonly denials: DenialList,
    private readonly feed: RevocationSubscriber,
    private readonly resources: OAuthResources,
    private readonly clock: Clock,
    private readonly settings: Settings,
    delegates: DelegateAdmissions,
  ) {
    const { oauthProvider, oauthRequestsPerMinute } = oauthSettings(settings);
    if (oauthProvider === 'on') delegates.register('app', this);
    this.requestsPerMinute = oauthRequestsPerMinute;
    const openIdConnectUrl = `${resources.issuer}/.well-known/openid-configuration`;
    this.securityScheme = { name: 'app', scheme: { type: 'openIdConnect', openIdConnectUrl } };
  }

  mayCall({ apps }: Pick<ScopedRouteOptions, 'apps'>): boolean {
    return apps;
  }

  /** Whether a request presents an access token that says that it was issued to an app. */
  concerns({ transport, accessToken }: Credentials): boolean {
    return transport === 'bearer' && this.tokens.isAppToken(accessToken!);
  }

  /**
   * Recognises the token of a request by the token alone and by the ends that this instance knows, without I/O.
   *
   * @throws Problem `auth.unauthenticated` on a route without `@AllowScope()`; `auth.invalid_token`,
   *   `auth.token_expired`, `auth.insufficient_scope`
   */
  recognise(context: RouteContext, { credentials: { accessToken } }: FastifyRequest): AppTokenClaims {
    const route = this.routeOf(context);
    if (!route?.apps) throw this.refusal('auth.unauthenticated');
    const claims = this.tokens.verify(accessToken!);
    if (claims === 'expired') throw this.refusal('auth.token_expired', 'error="invalid_token"');
    if (claims === 'invalid' || claims.aud !== this.resources.home || this.isDenied(claims))
      throw this.refusal('auth.invalid_token', 'error="invalid_token"');
    if (!claims.scope.split(' ').includes(route.scope)) throw this.insufficient(route.scope);
    return claims;
  }

  /**
   * Admits a recognised token. On the session tier, and while this instance is blind as `ACCESS_WHEN_BLIND` says, its
   * grant must be live in Postgres.
   *
   * @throws Problem `auth.invalid_token`, `auth.insufficient_scope`, `auth.unavailable`
   */
  async admit(context: ExecutionContext, request: FastifyRequest, claims: AppTokenClaims): Promise<true> {
    const scope = this.routeOf(context)!.scope;
    const isBlind = this.feed.isBlind();
    if (isBlind && this.settings.accessWhenBlind === 'deny') throw new Problem('auth.unavailable');
    const mustAsk = isBlind && this.settings.accessWhenBlind === 'session';
    if (this.sessionOf(context) || mustAsk) await this.requireLive(claims, scope);
    request.delegate = callerOf(claims);
    request.callerLimit = {
      policy: 'app',
      key: claims.grant_id,
      limit: this.requestsPerMinute,
      windowMs: MINUTE_MS,
    };
    return true;
  }

  /** The admission of a connection that a request with a token of an app has opened. */
  forConnection(context: RouteContext, request: FastifyRequest): Admission {
    const { scope } = this.routeOf(context)!;
    const claims = this.recognise(context, request);
    return {
      caller: request.delegate!,
      credentialIds: [claims.grant_id, claims.sid ?? []].flat(),
      checksEachMessage: this.sessionOf(context) !== undefined,
      until: claims.exp * 1_000,
      objection: () =>
        this.isDenied(claims) ? this.refusal('auth.invalid_token', 'error="invalid_token"') : null,
      check: async () => {
        const { endsAt } = await this.requireLive(claims, scope);
        return Math.min(endsAt, this.clock.now() + this.settings.accessTokenTtl);
      },
    };
  }

  private async requireLive(claims: AppTokenClaims, scope: Scope): Promise<LiveGrant> {
    const grant = await this.grants.live(claims.grant_id);
    if (!grant || grant.userId !== claims.sub)
      throw this.refusal('auth.invalid_token', 'error="invalid_token"');
    if (!mayHave(scope, grant.ownerRoles)) throw this.insufficient(scope);
    return grant;
  }

  private isDenied({ grant_id: grantId, sid, sub: userId }: AppTokenClaims): boolean {
    if (this.denials.deniesGrant(grantId)) return true;
    return sid !== undefined && this.denials.endOf({ sessionId: sid, userId }) !== null;
  }

  private insufficient(scope: Scope): Problem {
    return this.refusal('auth.insufficient_scope', `error="insufficient_scope", scope="${scope}"`, { scope });
  }

  /** With the header by which a client finds the provider (RFC 6750 3, RFC 9728 5.1). */
  private refusal(
    code: 'auth.unauthenticated' | 'auth.invalid_token' | 'auth.token_expired' | 'auth.insufficient_scope',
    error?: string,
    members?: Record<string, unknown>,
  ): Problem {
    const metadata = `resource_metadata="${this.resources.home}/.well-known/oauth-protected-resource"`;
    const challenge = `Bearer ${[error, metadata].filter(Boolean).join(', ')}`;
    return new Problem(code, { members, headers: { 'www-authenticate': challenge } });
  }
}

function callerOf({ grant_id: id, sub: userId, client_id: clientId, scope }: AppTokenClaims): AppCaller {
  return { kind: 'app', id, userId, roles: [], clientId, scopes: scope.split(' ') };
}
