import type { Operations } from '@drawbridge/client';
import { request } from '../api.js';
import { hasPasskeys } from '../passkeys.js';

/** How this user can prove their identity in this browser. */
export interface Proofs {
  typed: 'password' | 'code' | null;
  passkey: boolean;
  /** Providers of outside accounts, for users who have nothing else: a new sign-in is a proof as well. */
  providers: Operations['GET /v1/auth/social']['answer']['items'];
}

/** @param needsSecondFactor whether a password does not count */
export async function findProofs(needsSecondFactor: boolean): Promise<Proofs> {
  // Unknown if the server refuses, as for an admin whose second factor is missing: then everything is offered.
  const [accounts, factors, offered] = await Promise.all([
    request('GET /v1/auth/identities').catch(() => undefined),
    request('GET /v1/auth/mfa').catch(() => undefined),
    request('GET /v1/auth/social', { anonymous: true }).catch(() => undefined),
  ]);
  const hasPassword = accounts?.hasPassword ?? true;
  const hasCode = factors ? factors.totp !== null : needsSecondFactor;
  const passkey = hasPasskeys && (factors?.passkeys ?? 1) > 0;
  const typed = hasPassword && !needsSecondFactor ? 'password' : hasCode ? 'code' : null;
  const isLinked = (id: string) => accounts?.items.some(({ provider }) => provider === id) ?? false;
  const providers = typed || passkey ? [] : (offered?.items.filter(({ id }) => isLinked(id)) ?? []);
  return { typed, passkey, providers };
}
