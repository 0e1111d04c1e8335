import { Injectable } from '@nestjs/common';
import type { Configuration } from 'oidc-provider';
import type { Keys } from '../../../platform/keys/key-format.js';
import { KeyStore } from '../../../platform/keys/key-store.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { deriveKey } from '../../../platform/runtime/derive-key.js';
import { Settings } from '../../../platform/settings/settings.js';
import { PRODUCT } from '../../../product.js';
import { KeyRing } from '../../tokens/key-ring.js';
import { appKid, AppTokens, MAX_APP_TOKEN_LIFE_S } from '../check/app-token.js';
import { GrantCheck } from '../check/grant-check.js';
import { errorPage, PAGE_POLICY } from '../consent/pages.js';
import { GRANT_LIFETIME_MS, GrantsService } from '../grants.service.js';
import { oauthSettings, type OAuthClient } from '../settings.js';
import { OAuthRecordRepository } from './oauth-record.repository.js';
import { accessTokenOf } from './presented-access-token.js';
import { hasPublicHost } from './public-hosts.js';
import { RecordAdapter } from './record-adapter.js';
import { OPENID_SCOPES, OAuthResources } from './resources.js';
import { TokenClaims } from './token-claims.js';

const CODE_LIFE_S = 60;
/** How long a user may take to log in and to decide, in seconds. */
const INTERACTION_LIFE_S = 1_800;
const NO_SALT = Buffer.alloc(0);
/** The purpose of a derived key, as those of `PRODUCT.keyPurpose`. A change voids the cookies of the library. */
const COOKIE_KEY_PURPOSE = `${PRODUCT.slug} OAuth cookie v1`;

/** The library, which is loaded only if the provider is on. */
export type Library = typeof import('oidc-provider');

/** How the library is set: only what OAuth 2.1 allows, and everything that it stores or signs is ours. */
@Injectable()
export class ProviderConfiguration {
  constructor(
    private readonly resources: OAuthResources,
    private readonly tokens: AppTokens,
    private readonly claims: TokenClaims,
    private readonly grantCheck: GrantCheck,
    private readonly grants: GrantsService,
    private readonly records: OAuthRecordRepository,
    private readonly keyStore: KeyStore,
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /**
   * @param keys those of now
   * @param kid of the key that signs now
   */
  of(library: Library, keys: Keys, kid: string): Configuration {
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
        keys: this.cookieKeys(),
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
            const claims = await this.claims.ofAccessToken(token as never, parts.payload as never);
            if (!claims) throw new library.errors.InvalidGrant('the grant has ended');
            parts.payload = claims;
          },
        },
      },
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
      conformIdTokenClaims: false,
      clientBasedCORS: (_ctx, origin, client) =>
        (client.redirectUris ?? []).some((uri) => URL.parse(uri)?.origin === origin),
      // A grant ends with a session of ours, not of the library.
      expiresWithSession: () => Promise.resolve(false),
      findAccount: (_ctx, sub) => this.claims.ofUser(sub),
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
        Grant: GRANT_LIFETIME_MS / 1_000,
        IdToken: this.tokenLife,
        Interaction: INTERACTION_LIFE_S,
        RefreshToken: Math.floor(settings.sessionIdleTimeout / 1_000),
        Session: INTERACTION_LIFE_S,
      },
    };
  }

  /** The first one signs. The others verify what instances with the former secret have signed. */
  private cookieKeys(): string[] {
    const now = this.clock.now();
    const current = this.keyStore.mintingSecret(now);
    const others = this.keyStore.verifyingSecrets(now).filter((secret) => secret !== current);
    return [current, ...others].map((secret) =>
      deriveKey(secret, { salt: NO_SALT, purpose: COOKIE_KEY_PURPOSE }).toString('base64url'),
    );
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
