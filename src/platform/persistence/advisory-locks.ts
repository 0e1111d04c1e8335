import type { EntityManager } from 'typeorm';

/** PostgreSQL's advisory locks: the numbers are arbitrary, one per purpose, and the same in all processes of one database. */
export const ADVISORY_LOCKS = {
  /** One process migrates at a time. */
  migration: 7_263_401,
  /** Shared while instances use Redis; exclusive for an instance whose cache is in its own memory. */
  cacheForm: 7_263_402,
  /** Exclusive while all sessions end; shared by logins, fenced writes and refreshes under a user's lock. */
  sessionEpoch: 7_263_403,
  /** Exclusive while a user may lose a privileged role, so that each role keeps one holder. */
  privilegedRoles: 7_263_404,
  /** One instance extends the audit hash chain at a time. */
  auditChain: 7_263_405,
  /** One instance at a time records revocations again that a failover has lost. */
  lostRevocations: 7_263_406,
} as const;

/** Waits for the lock, and keeps it until the transaction ends. */
export async function takeLock(tx: EntityManager, name: keyof typeof ADVISORY_LOCKS): Promise<void> {
  await tx.query('select pg_advisory_xact_lock($1)', [ADVISORY_LOCKS[name]]);
}

/** Same as {@link takeLock}, without waiting. @returns false while another transaction has the lock */
export async function tryLock(tx: EntityManager, name: keyof typeof ADVISORY_LOCKS): Promise<boolean> {
  const [turn] = await tx.query<[{ mine: boolean }]>('select pg_try_advisory_xact_lock($1) as mine', [
    ADVISORY_LOCKS[name],
  ]);
  return turn.mine;
}
