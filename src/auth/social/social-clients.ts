import { Inject, Injectable } from '@nestjs/common';
import type { JWTVerifyGetKey } from 'jose';
import type { Configuration, IDToken } from 'openid-client';
import { canonicalEmail } from '../../platform/mail/email-address.js';
import { Problem } from '../../platform/api/problem.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { Clock } from '../../platform/runtime/clock.js';
import { Settings } from '../../platform/settings/settings.js';
import type { OutsideAccount } from './identity.repository.js';
import { routeUrlOf, socialSettings, type SocialProvider } from './settings.js';
import type { BegunSignIn } from './social-state.js';

/** How long the description of a provider is used, in ms. */
const DISCOVERED_FOR_MS = 3_600_000;
const TIMEOUT_S = 5;
/** How old a logout token may be, in seconds. */
const LOGOUT_TOKEN_AGE_S = 120;
/** The algorithms that a provider may sign with: asymmetric ones. */
export const SIGNATURES = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'];
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/** The user of an outside account, as its provider describes them. */
export interface OutsideProfile extends OutsideAccount {
  /** Canonical; null if the provider tells none, or one that is no address. */
  email: string | null;
  isEmailVerified: boolean;
  name: string | null;
  /** Of the session at the provider. */
  sid: string | null;
}

/** A logout at a provider: of one session there, or of all. */
export interface OutsideLogout extends OutsideAccount {
  sid: string | null;
}

interface Discovered {
  config: Configuration;
  /** The keys that sign its tokens. The library fetches them when it needs them, and not too often. */
  keys: JWTVerifyGetKey;
  at: number;
}

/** The clients of the providers of `SOCIAL_PROVIDERS`, by the library `openid-client`. */
@Injectable()
export class SocialClients {
  private readonly providers: Readonly<Record<string, SocialProvider>>;
  private readonly discovered = new Map<string, Discovered>();

  constructor(
    private readonly clock: Clock,
    private readonly settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.providers = socialSettings(settings).socialProviders;
  }

  /** The providers in the order of the setting. `name` is for people. */
  configured(): { id: string; name: string }[] {
    return Object.entries(this.providers).map(([id, { name = capitalized(id) }]) => ({ id, name }));
  }

  /**
   * Begins a sign-in.
   *
   * @returns the address at the provider to which the browser goes, and the secrets that stay in the browser
   * @throws Problem `resource.not_found` for an unknown provider, `auth.unavailable`
   */
  async begin(
    provider: string,
  ): Promise<{ url: string } & Pick<BegunSignIn, 'state' | 'nonce' | 'verifier'>> {
    const oidc = await import('openid-client');
    const { config } = await this.discover(provider);
    const state = oidc.randomState();
    const nonce = oidc.randomNonce();
    const verifier = oidc.randomPKCECodeVerifier();
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: routeUrlOf(this.settings, provider, 'callback'),
      scope: this.providers[provider]!.scope,
      state,
      nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    return { url: url.href, state, nonce, verifier };
  }

  /**
   * Completes a sign-in with what the provider has sent back.
   *
   * @param query of the callback
   * @returns null if the answer of the provider is not valid
   * @throws Problem `auth.unavailable`
   */
  async complete(begun: BegunSignIn, query: string): Promise<OutsideProfile | null> {
    const oidc = await import('openid-client');
    const { config } = await this.discover(begun.provider);
    const url = new URL(`${routeUrlOf(this.settings, begun.provider, 'callback')}?${query}`);
    try {
      const tokens = await oidc.authorizationCodeGrant(config, url, {
        pkceCodeVerifier: begun.verifier,
        expectedState: begun.state,
        expectedNonce: begun.nonce,
        idTokenExpected: true,
      });
      const claims = tokens.claims()!;
      const endpoint = config.serverMetadata().userinfo_endpoint;
      const told =
        claims['email'] === undefined && endpoint
          ? await oidc.fetchUserInfo(config, tokens.access_token, claims.sub)
          : claims;
      return profileOf(claims, told);
    } catch (error) {
      if (isNetworkError(error)) throw new Problem('auth.unavailable', { cause: error });
      this.logger.warn({ err: error, provider: begun.provider }, 'a sign-in with an outside account failed');
      return null;
    }
  }

  /**
   * Verifies a logout token (OpenID Connect Back-Channel Logout 1.0, 2.6).
   *
   * @returns null if it is not valid
   * @throws Problem `resource.not_found` for an unknown provider, `auth.unavailable`
   */
  async readLogoutToken(provider: string, token: string): Promise<OutsideLogout | null> {
    const { issuer, keys } = await this.signerOf(provider);
    const { jwtVerify } = await import('jose');
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience: this.providers[provider]!.clientId,
        algorithms: SIGNATURES,
        maxTokenAge: LOGOUT_TOKEN_AGE_S,
        clockTolerance: 60,
        requiredClaims: ['jti', 'events'],
      });
      const { sub, sid, nonce, events } = payload;
      const isLogout = typeof events === 'object' && events !== null && LOGOUT_EVENT in events;
      if (!isLogout || nonce !== undefined || typeof sub !== 'string') return null;
      return { issuer, subject: sub, sid: typeof sid === 'string' ? sid : null };
    } catch (error) {
      this.logger.warn({ err: error, provider }, 'a logout token was refused');
      return null;
    }
  }

  /**
   * The issuer of a provider, and its keys.
   *
   * @throws Problem `resource.not_found` for an unknown provider, `auth.unavailable`
   */
  async signerOf(provider: string): Promise<{ issuer: string; keys: JWTVerifyGetKey }> {
    const { config, keys } = await this.discover(provider);
    return { issuer: config.serverMetadata().issuer, keys };
  }

  private async discover(name: string): Promise<Discovered> {
    const provider = Object.hasOwn(this.providers, name) ? this.providers[name]! : null;
    if (!provider) throw new Problem('resource.not_found');
    const now = this.clock.now();
    const known = this.discovered.get(name);
    if (known && now - known.at < DISCOVERED_FOR_MS) return known;
    const oidc = await import('openid-client');
    const { createRemoteJWKSet } = await import('jose');
    const { issuer, clientId, clientSecret } = provider;
    const isPlain = issuer.startsWith('http:');
    try {
      const config = await oidc.discovery(
        new URL(issuer),
        clientId,
        undefined,
        clientSecret === undefined ? oidc.None() : oidc.ClientSecretPost(clientSecret),
        { timeout: TIMEOUT_S, execute: isPlain ? [oidc.allowInsecureRequests] : [] },
      );
      const keys = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri!));
      const discovered = { config, keys, at: now };
      this.discovered.set(name, discovered);
      return discovered;
    } catch (error) {
      // The description that we have may still be right.
      if (known) return known;
      throw new Problem('auth.unavailable', { cause: error });
    }
  }
}

const capitalized = (id: string): string => id[0]!.toUpperCase() + id.slice(1);

function profileOf({ iss, sub, sid }: IDToken, told: Record<string, unknown>): OutsideProfile {
  const { email, email_verified: verified, name } = told;
  return {
    issuer: iss,
    subject: sub,
    email: typeof email === 'string' ? canonicalEmail(email) : null,
    // Some providers send it as text.
    isEmailVerified: verified === true || verified === 'true',
    name: typeof name === 'string' ? name : null,
    sid: typeof sid === 'string' ? sid : null,
  };
}

/** Whether the provider could not be asked, as opposed to an answer of it that is wrong. */
export function isNetworkError(error: unknown): boolean {
  const { code, cause } = error as { code?: string; cause?: { status?: number } };
  return code === 'OAUTH_TIMEOUT' || error instanceof TypeError || (cause?.status ?? 0) >= 500;
}
