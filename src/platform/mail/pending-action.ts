import type { EntityManager } from 'typeorm';

/**
 * A requested action that takes effect later: a change of address whose link has been mailed, a started enrolment, or
 * a login that waits for its second factor.
 */
export interface PendingAction {
  userId: string;
  /** The session that requested it; null for a request without a session, such as a forgotten password. */
  sessionId: string | null;
  /** By the database's clock. */
  requestedAt: Date;
}

/**
 * Whether a pending action may still take effect. The rule is in `sessions/pending-actions.service.ts`. Modules below
 * that one (mail) depend on this class instead.
 */
export abstract class PendingActionPolicy {
  abstract isAuthorized(tx: EntityManager, action: PendingAction): Promise<boolean>;
}
