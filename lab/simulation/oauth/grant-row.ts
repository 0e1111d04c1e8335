import type { GrantSnapshot } from '../../../src/auth/oauth/grant.js';
import { random } from '../../../src/platform/runtime/random.js';
import type { GrantRow } from '../stores/records.js';

/** A row of the table, without the end that follows from the user or from the end of everyone's sessions. */
type StoredGrant = Omit<GrantSnapshot, 'ownerRoles'> & Pick<GrantRow, 'revocationSeq'>;

const YEAR_MS = 365 * 24 * 3_600_000;

/** @param sessionId the session with which the grant ends; null for none */
export function newGrantRow(userId: string, sessionId: string | null, now: number): StoredGrant {
  return {
    id: random.uuidAt(now),
    userId,
    clientId: 'app',
    clientName: 'an app',
    scopes: [],
    sessionId,
    createdAt: now,
    expiresAt: now + YEAR_MS,
    ended: null,
    revocationSeq: null,
  };
}
