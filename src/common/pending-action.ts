import type { EntityManager } from 'typeorm';

/**
 * Something that was requested and takes effect later: a change of address whose link has been mailed, an enrolment that
 * has begun, a login that waits for its second factor.
 */
export interface PendingAction {
  userId: string;
  /** The session that requested it; null for a request without a session, such as a forgotten password. */
  sessionId: string | null;
  /** By the database's clock. */
  requestedAt: Date;
}

/**
 * Whether a pending action may still take effect. The rule is in `sessions/pending-actions.service.ts`; modules below that one
 * (mail) ask it by this name.
 */
export abstract class PendingActionPolicy {
  abstract isAuthorized(tx: EntityManager, action: PendingAction): Promise<boolean>;
}
