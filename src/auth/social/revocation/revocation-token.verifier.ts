import { Inject, Injectable } from '@nestjs/common';
import type { JWTPayload } from 'jose';
import { Problem } from '../../../platform/api/problem.js';
import { LOGGER, type Logger } from '../../../platform/logging/logger.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { sha256 } from '../../../platform/runtime/sha256.js';
import { Settings } from '../../../platform/settings/settings.js';
import { routeUrlOf, socialSettings, type SocialProvider } from '../settings.js';
import { isNetworkError, SIGNATURES, SocialClients } from '../social-clients.js';

const TYPE = 'global-token-revocation+jwt';
/** The tokens of Okta live for 5 minutes. Twice that is accepted, in seconds. */
const MAX_LIFETIME_S = 600;
/** How old a token may be, and how much clocks may differ, in seconds. */
const MAX_AGE_S = 300;
const TOLERANCE_S = 60;
/** The audit log keeps it, and PostgreSQL cannot store every text. */
const TOKEN_ID = /^[\x21-\x7e]{1,255}$/;

/** An authenticated call of a provider. */
export interface RevocationToken {
  /** The name of the provider in the settings. */
  provider: string;
  issuer: string;
  tokenId: string;
  /** Of the issuer and the id. */
  digest: Buffer;
  /** From then on the token is refused because of its age. */
  expiresAt: Date;
}

/**
 * Verifies the token by which a provider authenticates a Global Token Revocation
 * (draft-parecki-oauth-global-token-revocation), in the form that Okta documents for Universal Logout.
 */
@Injectable()
export class RevocationTokenVerifier {
  private readonly providers: Readonly<Record<string, SocialProvider>>;

  constructor(
    private readonly clients: SocialClients,
    private readonly clock: Clock,
    private readonly settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.providers = socialSettings(settings).socialProviders;
  }

  /** The domains whose addresses belong to the provider's users; null if the provider may not call. */
  emailDomainsOf(provider: string): readonly string[] | null {
    const known = Object.hasOwn(this.providers, provider) ? this.providers[provider]! : null;
    return known?.globalTokenRevocation?.emailDomains ?? null;
  }

  /**
   * Verifies signature, type, issuer, audience, subject and times. It does not check whether the token was used before.
   *
   * @param provider one that may call. It determines the keys and the audience, so no provider can speak for another
   * @throws Problem `auth.invalid_token`; `auth.unavailable` while the keys of the provider cannot be fetched
   */
  async verify(provider: string, token: string): Promise<RevocationToken> {
    const { issuer, keys } = await this.clients.signerOf(provider);
    const { jwtVerify } = await import('jose');
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        typ: TYPE,
        audience: routeUrlOf(this.settings, provider, 'global-token-revocation'),
        algorithms: SIGNATURES,
        maxTokenAge: MAX_AGE_S,
        clockTolerance: TOLERANCE_S,
        requiredClaims: ['jti', 'exp', 'sub'],
        currentDate: new Date(this.clock.now()),
      });
      return this.accept(provider, issuer, payload);
    } catch (error) {
      if (isUnreachable(error)) throw new Problem('auth.unavailable', { cause: error });
      throw this.refusal(provider, error);
    }
  }

  /** The answer to a token that is refused. Only the log says why. */
  refusal(provider: string, cause: unknown): Problem {
    this.logger.warn({ err: cause, provider }, 'a token for a global token revocation was refused');
    return new Problem('auth.invalid_token');
  }

  /** The claims that the library does not check. */
  private accept(provider: string, issuer: string, { sub, aud, jti, iat, exp }: JWTPayload): RevocationToken {
    if (sub !== issuer && sub !== this.providers[provider]!.clientId) throw new Error('another sub');
    // Another receiver of the same token could send it here.
    if (Array.isArray(aud) && aud.length !== 1) throw new Error('more than one aud');
    if (typeof jti !== 'string' || !TOKEN_ID.test(jti)) throw new Error('not a jti');
    if (exp! - iat! > MAX_LIFETIME_S) throw new Error('lives too long');
    return {
      provider,
      issuer,
      tokenId: jti,
      digest: sha256(JSON.stringify([issuer, jti])),
      expiresAt: new Date((exp! + TOLERANCE_S) * 1_000),
    };
  }
}

/** Whether the keys could not be fetched, as opposed to a token that is wrong. */
function isUnreachable(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === 'ERR_JWKS_TIMEOUT' || code === 'ERR_JOSE_GENERIC' || isNetworkError(error);
}
