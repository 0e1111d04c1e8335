import type { AdapterPayload } from 'oidc-provider';
import type { AppTokens } from '../check/app-token.js';

/**
 * The library refuses to look at JWTs at its endpoints for revocation (RFC 7009) and introspection (RFC 7662), because it
 * stores nothing about them. Ours name their grant. So `OAuthRoutes` wraps a presented one, and the adapter reads it from
 * its own text.
 */
const WRAPPED = 'app-token:';

/** Wraps the `token` of a form, if it is one of our access tokens. */
export function wrapAccessToken(form: string, tokens: AppTokens): string {
  const fields = new URLSearchParams(form);
  const token = fields.get('token');
  if (token === null || !tokens.isAppToken(token)) return form;
  fields.set('token', WRAPPED + Buffer.from(token).toString('base64url'));
  return fields.toString();
}

/** The stored form of a wrapped access token; null for any other text, and for a token that is invalid or expired. */
export function accessTokenOf(wrapped: string, tokens: AppTokens): AdapterPayload | null {
  if (!wrapped.startsWith(WRAPPED)) return null;
  const claims = tokens.verify(Buffer.from(wrapped.slice(WRAPPED.length), 'base64url').toString());
  if (typeof claims === 'string') return null;
  return {
    kind: 'AccessToken',
    jti: wrapped,
    accountId: claims.sub,
    clientId: claims.client_id,
    grantId: claims.grant_id,
    aud: claims.aud,
    scope: claims.scope,
    iat: claims.iat,
    exp: claims.exp,
    extra: { grant_id: claims.grant_id, ...(claims.sid && { sid: claims.sid }) },
  };
}
