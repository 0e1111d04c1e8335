import type { Caller } from '../../platform/http/request.js';
import type { Role } from '../../roles.js';
import type { Scope } from '../../scopes.js';

/** Why a key ended. */
export const KEY_END_REASONS = ['revoked', 'admin', 'leaked', 'ban', 'account_deleted'] as const;
export type KeyEndReason = (typeof KEY_END_REASONS)[number];

/** The ends of all sessions of a user with which the user's keys end. Any other leaves machines at work. */
export const ENDS_KEYS: readonly string[] = ['ban', 'account_deleted'] satisfies KeyEndReason[];

/** An API key with everything that decides whether it is accepted, as one read found it. Instants are milliseconds. */
export interface ApiKeySnapshot {
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Addresses and networks that may use the key; empty for any. */
  readonly networks: readonly string[];
  readonly requestsPerMinute: number | null;
  /** In base64. */
  readonly digest: string;
  readonly rotation: number;
  readonly rotatedAt: number | null;
  readonly previousDigest: string | null;
  readonly previousUntil: number | null;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly ownerRoles: readonly Role[];
  readonly ended: { readonly reason: KeyEndReason; readonly at: number } | null;
}

/** The caller of a request with an API key. */
export interface ApiKeyCaller extends Caller {
  kind: 'api_key';
  name: string;
  /** The secret that was presented: that of the last rotation, or the one before. */
  rotation: number;
}

/** A key as its owner and admins see it. */
export interface StoredApiKey extends Omit<ApiKeySnapshot, 'ended' | 'digest' | 'previousDigest'> {
  readonly status: 'active' | 'ended';
  readonly endReason: KeyEndReason | null;
  readonly endedAt: number | null;
  readonly lastUsedAt: number | null;
  /** The networks that used the secret before the last rotation last. */
  readonly previousUses: readonly { network: string; lastUsedAt: number }[];
}
