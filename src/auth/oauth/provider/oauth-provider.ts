import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Provider as OidcProvider, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { isDatabaseUnavailable } from '../../../platform/persistence/database-problem.js';
import { KeyStore } from '../../../platform/keys/key-store.js';
import type { Keys } from '../../../platform/keys/key-format.js';
import { LOGGER, type Logger } from '../../../platform/logging/logger.js';
import { Problem } from '../../../platform/api/problem.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { deriveKey } from '../../../platform/runtime/derive-key.js';
import { BootError } from '../../../platform/settings/boot-error.js';
import { Settings } from '../../../platform/settings/settings.js';
import { PRODUCT } from '../../../product.js';
import { isUsable } from '../../../users/user.entity.js';
import { UserRepository } from '../../../users/user.repository.js';
import { KeyRing } from '../../tokens/key-ring.js';
import { appKid, AppTokens, MAX_APP_TOKEN_LIFE_S } from '../check/app-token.js';
import { GrantCheck } from '../check/grant-check.js';
import { GrantRepository } from '../grant.repository.js';
import { GrantsService } from '../grants.service.js';
import { oauthSettings, type OAuthClient } from '../settings.js';
import { OAuthRecordRepository } from './oauth-record.repository.js';
import { hasPublicHost } from './public-hosts.js';
import { OPENID_SCOPES, OAuthResources } from './resources.js';
import { accessTokenOf } from './presented-access-token.js';
import { errorPage, PAGE_POLICY } from '../consent/pages.js';
import { RecordAdapter } from './record-adapter.js';

const CODE_LIFE_S = 60;
/** How long a user may take to log in and to decide, in seconds. */
const INTERACTION_LIFE_S = 1_800;
const GRANT_LIFE_S = 365 * 24 * 3_600;
const NO_SALT = Buffer.alloc(0);

type Library = typeof import('oidc-provider');

/**
 * The OAuth 2.1 and OpenID Connect provider: the certified library `oidc-provider`, with our keys, our database and our
 * grants. It is loaded only if `OAUTH_PROVIDER=on`.
 */
@Injectable()
export class OAuthProvider implements OnModuleInit {
  readonly isOn: boolean;
  private library: Library | null = null;
  /** The provider, and the state of the keys for which it was made. */
  private made: { provider: OidcProvider; keys: Keys; kid: string } | null = null;

  constructor(
    private readonly resources: OAuthResources,
    private readonly tokens: AppTokens,
    private readonly grantCheck: GrantCheck,
    private readonly grants: GrantsService,
    private readonly grantRepository: GrantRepository,
    private readonly records: OAuthRecordRepository,
    private readonly users: UserRepository,
    private readonly keyStore: KeyStore,
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
    private readonly settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.isOn = oauthSettings(settings).oauthProvider === 'on';
  }

  async onModuleInit(): Promise<void> {
    if (!this.isOn) return;
    if (this.settings.nodeEnv === 'production' && !this.settings.appUrl)
      throw new BootError('APP_URL is not set; it is the beginning of the issuer of OAUTH_PROVIDER');
    this.library = await import('oidc-provider');
    for (const { client_id } of oauthSettings(this.settings).oauthClients) {
      await this.current()
        .Client.find(client_id)
        .catch((error: { error_description?: string; message: string }) => {
          throw new BootError(
            `OAUTH_CLIENTS has a wrong entry for \`${client_id}\`: ${error.error_description ?? error.message}`,
          );
        });
    }
  }

  /**
   * The provider with the keys of now.
   *
   * @throws Problem `resource.not_found` if `OAUTH_PROVIDER` is off
   */
  current(): OidcProvider {
    if (!this.library) throw new Problem('resource.not_found');
    const { kid } = this.keyRing.signer(this.clock.now());
    const keys = this.keyStore.current;
    if (this.made?.keys !== keys || this.made.kid !== kid)
      this.made = { keys, kid, provider: this.make(this.library, keys, kid) };
    return this.made.provider;
  }

  private make(library: Library, keys: Keys, kid: string): OidcProvider {
    const provider = new library.Provider(this.resources.issuer, this.configuration(library, keys, kid));
    provider.proxy = true; // `OAuthRoutes` says by which URL this service is reached
    provider.on('server_error', (ctx: KoaContextWithOIDC, error: Error) => {
      if (isUnavailable(error)) tellUnavailable(ctx);
      else this.logger.error({ err: error }, 'the OAuth provider failed');
    });
    return provider;
  }

  private configuration(library: Library, keys: Keys, kid: string): Configuration {
    const { settings, clock } = this;
    const { oauthClients, oauthClientDocuments } = oauthSettings(settings);
    const isSecure = this.resources.home.startsWith('https:');
    const cookie = { httpOnly: true, secure: isSecure, sameSite: 'lax', signed: true } as const;
    const cookieName = (name: string) =>
      `${isSecure ? '__Secure-' : ''}${settings.cookiePrefix ? `${settings.cookiePrefix}-` : ''}oauth-${name}`;
    return {
      adapter: (model: string) =>
        new RecordAdapter(model, {
          records: this.records,
          grants: this.grantCheck,
          clock,
          refreshGrace: settings.refreshGrace,
          readAccessToken: (token) => accessTokenOf(token, this.tokens),
          endGrant: async (id) => {
            const isWish = library.Provider.ctx?.oidc.route === 'revocation';
            await this.grants.end(id, {
              reason: isWish ? 'app' : 'token_reuse',
              actorId: null,
              context: NO_CONTEXT,
            });
          },
          alreadyUsed: () => new library.errors.InvalidGrant('already used'),
        }),
      clients: oauthClients.map(clientOf) as never,
      clientDefaults: {
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        id_token_signed_response_alg: 'ES256',
        token_endpoint_auth_method: 'none',
      },
      jwks: { keys: jwksOf(keys, kid, clock.now()) as never },
      enabledJWA: {
        idTokenSigningAlgValues: ['ES256'],
        clientAuthSigningAlgValues: ['ES256', 'EdDSA', 'PS256', 'RS256'],
      },
      cookies: {
        keys: [
          deriveKey(this.keyStore.mintingSecret(clock.now()), {
            salt: NO_SALT,
            purpose: PRODUCT.keyPurpose.oauthCookie,
          }).toString('base64url'),
        ],
        names: {
          session: cookieName('session'),
          interaction: cookieName('interaction'),
          resume: cookieName('resume'),
        },
        short: cookie,
        long: { ...cookie, path: '/oauth' },
      },
      routes: {
        authorization: '/authorize',
        introspection: '/introspect',
        jwks: '/jwks',
        pushed_authorization_request: '/par',
        revocation: '/revoke',
        token: '/token',
        userinfo: '/userinfo',
      },
      features: {
        devInteractions: { enabled: false },
        clientIdMetadataDocument: {
          enabled: oauthClientDocuments === 'on',
          ack: 'draft-02',
          allowFetch: (_ctx: unknown, clientId: string) => hasPublicHost(clientId),
        },
        dPoP: { enabled: false },
        introspection: {
          enabled: true,
          allowedPolicy: (_ctx, client, token) =>
            client.clientAuthMethod !== 'none' || token.clientId === client.clientId,
        },
        resourceIndicators: {
          enabled: true,
          defaultResource: (ctx, _client, oneOf) =>
            (oneOf as string[] | undefined)?.[0] ?? this.defaultResource(ctx.oidc.requestParamScopes),
          useGrantedResource: () => true,
          getResourceServerInfo: (_ctx, identifier) => this.resourceServer(library, identifier),
        },
        revocation: {
          enabled: true,
          allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
        },
        rpInitiatedLogout: { enabled: false },
        userinfo: { enabled: true },
      } as Configuration['features'],
      formats: {
        customizers: {
          jwt: async (_ctx, token, parts) => {
            parts.payload = await this.claimsFor(library, token as never, parts.payload as never);
          },
        },
      },
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
      conformIdTokenClaims: false,
      clientBasedCORS: (_ctx, origin, client) =>
        (client.redirectUris ?? []).some((uri) => URL.parse(uri)?.origin === origin),
      // A grant ends with a session of ours, not of the library.
      expiresWithSession: () => Promise.resolve(false),
      findAccount: (_ctx, sub) => this.account(sub),
      interactions: {
        policy: library.interactionPolicy.base(),
        url: (_ctx, { uid }) => `/oauth/interaction/${uid}`,
      },
      issueRefreshToken: (_ctx, client) => Promise.resolve(client.grantTypeAllowed('refresh_token')),
      loadExistingGrant: (ctx) => {
        const grantId = ctx.oidc.result?.consent?.grantId;
        return grantId ? ctx.oidc.provider.Grant.find(grantId) : Promise.resolve(undefined);
      },
      pkce: { required: () => true },
      renderError: (ctx, { error, error_description }) => {
        ctx.type = 'html';
        ctx.set('content-security-policy', PAGE_POLICY);
        ctx.body = errorPage(error, error_description);
      },
      responseTypes: ['code'],
      revokeGrantPolicy: () => true,
      rotateRefreshToken: true,
      scopes: Object.keys(OPENID_SCOPES),
      ttl: {
        AccessToken: this.tokenLife,
        AuthorizationCode: CODE_LIFE_S,
        Grant: GRANT_LIFE_S,
        IdToken: this.tokenLife,
        Interaction: INTERACTION_LIFE_S,
        RefreshToken: Math.floor(settings.sessionIdleTimeout / 1_000),
        Session: INTERACTION_LIFE_S,
      },
    };
  }

  private get tokenLife(): number {
    return Math.min(MAX_APP_TOKEN_LIFE_S, Math.floor(this.settings.accessTokenTtl / 1_000));
  }

  /** An app that asks for none of our scopes only wants to know who the user is. */
  private defaultResource(scopes: ReadonlySet<string>): string | undefined {
    const own = this.resources.find(this.resources.home)!;
    return [...scopes].some((scope) => own.scopes.has(scope)) ? own.id : undefined;
  }

  private resourceServer(library: Library, identifier: string) {
    const resource = this.resources.find(identifier);
    if (!resource) throw new library.errors.InvalidTarget('unknown resource');
    return {
      scope: [...resource.scopes.keys()].join(' '),
      audience: resource.id,
      accessTokenFormat: 'jwt' as const,
      accessTokenTTL: this.tokenLife,
      jwt: { sign: { alg: 'ES256' as const, kid: appKid(this.keyRing.signer(this.clock.now()).kid) } },
    };
  }

  /**
   * The claims of an access token. The grant is read once more after `iat` was set. So a grant that ends later is on the
   * denial list for longer than the token lives, however late the token is signed.
   */
  private async claimsFor(
    library: Library,
    { grantId }: { grantId: string },
    { aud, client_id, sub, jti, iat, exp, scope }: Record<string, unknown> & { exp: number; scope?: string },
  ): Promise<Record<string, unknown>> {
    const grant = await this.grantCheck.live(grantId);
    if (!grant) throw new library.errors.InvalidGrant('the grant has ended');
    await this.grantRepository.noteUse(grantId, new Date(this.clock.now()));
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

  private async account(id: string) {
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

/** Requests of apps to the token endpoint have no address that tells the user anything. */
const NO_CONTEXT = { ip: null, userAgent: null, place: null, requestId: 'oauth' };

/** Without a secret an app is public and proves itself by PKCE alone (OAuth 2.1). */
function clientOf(client: OAuthClient): OAuthClient {
  const method = client.client_secret === undefined ? 'none' : 'client_secret_basic';
  return { token_endpoint_auth_method: method, ...client };
}

/** The private keys that may sign or verify now, that of now first: the library takes the first. */
function jwksOf({ signing }: Keys, current: string, now: number): Record<string, unknown>[] {
  return signing
    .filter(({ retiresAt = Infinity }) => now < retiresAt)
    .toSorted((a, b) => Number(b.kid === current) - Number(a.kid === current))
    .map(({ kid, privateKey }) => ({
      ...privateKey.export({ format: 'jwk' }),
      kid: appKid(kid),
      alg: 'ES256',
      use: 'sig',
    }));
}

function isUnavailable(error: unknown): boolean {
  return (error instanceof Problem && error.code === 'auth.unavailable') || isDatabaseUnavailable(error);
}

/** As everywhere, an outage is a 503: a client must not conclude that its tokens are void. */
function tellUnavailable(ctx: KoaContextWithOIDC): void {
  ctx.status = 503;
  ctx.set('retry-after', '1');
  ctx.body = { error: 'temporarily_unavailable', error_description: 'Send the request again.' };
}
