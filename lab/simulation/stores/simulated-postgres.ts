import type { ApiKeySnapshot } from '../../../src/auth/api-keys/api-key.js';
import type { Role } from '../../../src/roles.js';
import type { SessionSnapshot } from '../../../src/sessions/check/session-snapshot.js';
import type { Revocation } from '../../../src/sessions/revocation/revocation.entity.js';
import type { Sender, VirtualClock } from './network.js';
import type { GrantRow, KeyRow, SessionRow, UserRow } from './records.js';

export interface RevocationRow extends Revocation {
  xid: bigint;
}

/** An open transaction. It holds its locks until it ends, and its writes take effect when it commits. */
export interface Transaction {
  /** The instance that it ends with. */
  owner: Sender;
  xid: bigint;
  locks: Set<string>;
  writes: (() => void)[];
  open: boolean;
}

/** A PostgreSQL: records, transactions whose numbers commit in any order, and locks. */
export class SimulatedPostgres {
  readonly users = new Map<string, UserRow>();
  readonly sessions = new Map<string, SessionRow>();
  readonly keys = new Map<string, KeyRow>();
  /** Empty without the OAuth provider. */
  readonly grants = new Map<string, GrantRow>();
  readonly revocations: RevocationRow[] = [];
  /** No session and no grant that was created up to this time is alive. */
  epoch = 0;
  readonly open = new Set<Transaction>();
  nextXid = 1n;
  nextSeq = 1;
  /** Called after each commit. */
  afterCommit: () => void = () => undefined;
  /** Called for each commit that notifies. */
  notify: () => void = () => undefined;

  constructor(readonly clock: VirtualClock) {}

  begin(owner: Sender): Transaction {
    const transaction = { owner, xid: this.nextXid++, locks: new Set<string>(), writes: [], open: true };
    this.open.add(transaction);
    return transaction;
  }

  /** Whether a lock is free for a transaction. A lock whose name begins with `shared ` only excludes the other form. */
  isFree(lock: string, transaction?: Transaction): boolean {
    const excluding = lock.startsWith('shared ') ? [lock.slice('shared '.length)] : [lock, `shared ${lock}`];
    return [...this.open].every(
      (other) => other === transaction || !excluding.some((name) => other.locks.has(name)),
    );
  }

  take(lock: string, transaction: Transaction): void {
    this.requireOpen(transaction);
    if (!this.isFree(lock, transaction)) throw new Error('the schedule passed a lock');
    transaction.locks.add(lock);
  }

  requireOpen(transaction: Transaction): void {
    if (!transaction.open) throw new Error('rolled back');
  }

  commit(transaction: Transaction): void {
    this.requireOpen(transaction);
    this.rollBack(transaction);
    for (const write of transaction.writes) write();
    this.afterCommit();
  }

  /** As when its connection breaks. */
  rollBack(transaction: Transaction): void {
    transaction.open = false;
    this.open.delete(transaction);
  }

  /** @param owner null for all, as when the server restarts */
  rollBackAll(owner: Sender | null): void {
    for (const transaction of this.open) {
      if (owner === null || transaction.owner === owner) this.rollBack(transaction);
    }
  }

  // --- Records as checks read them: also the user and the end of everyone's sessions decide.

  session(id: string): SessionSnapshot {
    const { snapshot } = this.sessions.get(id)!;
    const { roles, bannedAt } = this.users.get(snapshot.userId)!;
    const ended =
      snapshot.ended ??
      (bannedAt === null ? null : { reason: 'ban' as const, at: bannedAt }) ??
      this.byEpoch(snapshot);
    return { ...snapshot, roles, ended };
  }

  key(id: string): ApiKeySnapshot {
    const { revocationSeq: _, ...key } = this.keys.get(id)!;
    const { roles, bannedAt } = this.users.get(key.userId)!;
    const ended = key.ended ?? (bannedAt === null ? null : { reason: 'ban' as const, at: bannedAt });
    return { ...key, ownerRoles: roles, ended };
  }

  grant(id: string): Omit<GrantRow, 'revocationSeq'> & { ownerRoles: readonly Role[] } {
    const { revocationSeq: _, ...grant } = this.grants.get(id)!;
    const { roles, bannedAt } = this.users.get(grant.userId)!;
    const ended =
      grant.ended ??
      (bannedAt === null ? null : { reason: 'ban' as const, at: bannedAt }) ??
      this.byEpoch(grant);
    return { ...grant, ownerRoles: roles, ended };
  }

  liveSessionsOf(userId: string): SessionSnapshot[] {
    return [...this.sessions.keys()]
      .map((id) => this.session(id))
      .filter((session) => session.userId === userId && !session.ended);
  }

  /** The sessions whose record has not ended, even if everyone's have. */
  activeSessions(): SessionSnapshot[] {
    return [...this.sessions.values()].map(({ snapshot }) => snapshot).filter(({ ended }) => !ended);
  }

  private byEpoch({ createdAt }: { createdAt: number }) {
    return createdAt <= this.epoch ? { reason: 'admin_everyone' as const, at: this.epoch } : null;
  }
}
