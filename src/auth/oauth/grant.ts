import type { Caller } from '../../platform/http/request.js';
import type { Role } from '../../roles.js';

/** Why a grant ended. */
export const GRANT_END_REASONS = [
  'revoked',
  'app',
  'admin',
  'admin_everyone',
  'ban',
  'password_change',
  'password_reset',
  'account_deleted',
  'token_reuse',
  'session_ended',
  'expired',
] as const;
export type GrantEndReason = (typeof GRANT_END_REASONS)[number];

/**
 * The ends of sessions of a user with which the user's grants end, even those with `offline_access`. A logout is none of
 * them: an app that syncs in the background keeps working.
 */
export const ENDS_GRANTS: readonly string[] = [
  'admin',
  'ban',
  'password_change',
  'password_reset',
  'account_deleted',
] satisfies GrantEndReason[];

/** A grant with everything that decides whether its tokens are accepted, as one read found it. Instants are milliseconds. */
export interface GrantSnapshot {
  readonly id: string;
  readonly userId: string;
  readonly clientId: string;
  readonly clientName: string;
  readonly scopes: readonly string[];
  /** The session that the grant ends with; null with `offline_access`. */
  readonly sessionId: string | null;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly ownerRoles: readonly Role[];
  readonly ended: { readonly reason: GrantEndReason; readonly at: number } | null;
}

/** A grant as its user and admins see it. */
export interface StoredGrant extends GrantSnapshot {
  readonly lastUsedAt: number | null;
}

/** The caller of a request with an access token of an app. */
export interface AppCaller extends Caller {
  kind: 'app';
  /** The `client_id` of the app. */
  clientId: string;
  scopes: readonly string[];
}
