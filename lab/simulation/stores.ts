import type { CacheValue } from '../../src/platform/cache/cache-port.js';
import { random } from '../../src/platform/runtime/random.js';
import type { RevocationNotice } from '../../src/sessions/revocation/denial-list.js';
import type { RevocationKind } from '../../src/sessions/revocation/revocation.entity.js';
import { initialRotation, type RotationState } from '../../src/sessions/refresh/rotation.js';
import type { SessionSnapshot } from '../../src/sessions/check/session-snapshot.js';
import { INITIAL_SNAPSHOT } from '../../src/sessions/check/session-snapshot.repository.js';
import type { VirtualClock } from './network.js';

/** A Redis, which takes effect at the moment at which a request arrives. */
export class SimulatedRedis {
  /** Changes with each restart, promotion or restoration. */
  identity = 1;
  private entries = new Map<string, { value: string; seal: number | null; expiresAt: number }>();
  private dump = new Map(this.entries);

  constructor(private readonly clock: VirtualClock) {}

  /** The entry, if it is valid for a client that expects this server: entries of another epoch are not. */
  get(key: string, identity: number): string | null {
    const entry = this.entries.get(key);
    if (!entry || entry.expiresAt <= this.clock.time) return null;
    return entry.seal === null || entry.seal === identity ? entry.value : null;
  }
  set(key: string, value: CacheValue, ttl: number, seal: number | null = null): void {
    this.entries.set(key, { value: JSON.stringify(value), seal, expiresAt: this.clock.time + ttl });
  }
  delete(key: string): void {
    this.entries.delete(key);
  }
  keys(): string[] {
    return [...this.entries.keys()];
  }
  flush(): void {
    this.entries.clear();
  }
  save(): void {
    this.dump = new Map(this.entries);
  }
  /** Replaces the server by another one: empty, or with an earlier copy of its data. */
  replace(restored: boolean): void {
    this.identity += 1;
    this.entries = restored ? new Map(this.dump) : new Map();
  }
}

export interface SessionRow {
  snapshot: SessionSnapshot;
  rotation: RotationState;
  endCommittedAt: number | null;
}

export interface RevocationRow extends RevocationNotice {
  xid: bigint;
  committedAt: number | null;
  appliedAt: number | null;
}

/** An open transaction holds the lock of its user until it ends. */
export interface Transaction {
  xid: bigint;
  userId: string;
  writes: (() => void)[];
  open: boolean;
}

const TOKENS_DEAD_AFTER_MS = 16 * 60_000;

/** A PostgreSQL: transactions whose numbers commit in any order, and locks of users. */
export class SimulatedPostgres {
  readonly sessions = new Map<string, SessionRow>();
  readonly revocations: RevocationRow[] = [];
  private readonly transactions = new Set<Transaction>();
  private readonly notBefore = new Map<string, number>();
  private nextXid = 1n;
  private nextSeq = 1;
  /** Called for each commit that notifies. */
  notify: () => void = () => undefined;

  constructor(private readonly clock: VirtualClock) {}

  isLocked(userId: string): boolean {
    return [...this.transactions].some((transaction) => transaction.userId === userId);
  }

  begin(userId: string): Transaction {
    if (this.isLocked(userId)) throw new Error('the schedule passed a locked user');
    const transaction = { xid: this.nextXid++, userId, writes: [], open: true };
    this.transactions.add(transaction);
    return transaction;
  }

  commit(transaction: Transaction): void {
    if (!transaction.open) throw new Error('rolled back');
    this.end(transaction);
    for (const write of transaction.writes) write();
  }

  /** As when its connection breaks. */
  rollBack(transaction: Transaction): void {
    this.end(transaction);
  }

  rollBackAll(): void {
    for (const transaction of this.transactions) this.end(transaction);
  }

  private end(transaction: Transaction): void {
    transaction.open = false;
    this.transactions.delete(transaction);
  }

  login(id: string, userId: string): SessionRow {
    const now = Math.max(this.clock.time, (this.notBefore.get(userId) ?? 0) + 1);
    const snapshot: SessionSnapshot = {
      ...INITIAL_SNAPSHOT,
      id: id || random.uuidAt(now),
      userId,
      roles: ['user'],
      transport: 'cookie',
      createdAt: now,
      lastSeenAt: now,
      authenticatedAt: now,
      device: { id: userId, name: 'a device', browser: null, os: null, firstSeenAt: now },
    };
    const row = { snapshot, rotation: initialRotation(), endCommittedAt: null };
    this.sessions.set(snapshot.id, row);
    return row;
  }

  /** Within a transaction: ends sessions of its user, all or one. */
  revoke(transaction: Transaction, kind: 'session' | 'user', sessionIds: string[]): RevocationRow {
    const { userId } = transaction;
    const rows = sessionIds.map((id) => this.sessions.get(id)!);
    const notBefore = Math.max(this.clock.time, ...rows.map(({ snapshot }) => snapshot.createdAt));
    const row = this.insert(
      transaction,
      kind,
      kind === 'user' ? [userId] : sessionIds,
      kind === 'user' ? notBefore : null,
    );
    transaction.writes.push(() => {
      const at = this.clock.time;
      if (kind === 'user') this.notBefore.set(userId, Math.max(this.notBefore.get(userId) ?? 0, notBefore));
      for (const session of rows) {
        session.endCommittedAt ??= at;
        session.snapshot = { ...session.snapshot, ended: session.snapshot.ended ?? { reason: 'admin', at } };
      }
    });
    return row;
  }

  insert(
    transaction: Transaction,
    kind: RevocationKind,
    subjects: string[],
    notBefore: number | null,
  ): RevocationRow {
    const row: RevocationRow = {
      xid: transaction.xid,
      seq: this.nextSeq++,
      kind,
      subjects,
      tokenId: null,
      reason: 'admin',
      notBefore,
      createdAt: this.clock.time,
      expiresAt: this.clock.time + TOKENS_DEAD_AFTER_MS,
      committedAt: null,
      appliedAt: null,
    };
    transaction.writes.push(() => {
      row.committedAt = this.clock.time;
      this.revocations.push(row);
      this.notify();
    });
    return row;
  }

  liveOf(userId: string): SessionRow[] {
    return [...this.sessions.values()].filter(
      ({ snapshot }) => snapshot.userId === userId && !snapshot.ended,
    );
  }

  /** The result of the statements of `RevocationCursor`, by the snapshot of this moment. */
  answer(statement: string, [xid = '0', seq = '0']: [string?, string?] = []): { rows: object[] } {
    const oldest = [...this.transactions].reduce(
      (least, { xid }) => (xid < least ? xid : least),
      this.nextXid,
    );
    const live = this.revocations.filter(({ expiresAt }) => expiresAt > this.clock.time);
    if (statement.includes('as start')) {
      const start = live.reduce((least, { xid }) => (xid < least ? xid : least), oldest);
      return { rows: [{ start: String(start) }] };
    }
    const after = live.filter(
      (row) => row.xid > BigInt(xid) || (row.xid === BigInt(xid) && row.seq > Number(seq)),
    );
    const page = {
      cursor: String(oldest),
      horizon: String(this.nextXid),
      now: this.clock.time,
      newest: String(Math.max(0, ...this.revocations.map((row) => row.seq))),
      last: String(this.nextSeq - 1),
      next: null,
      notices: JSON.stringify(
        after.map((row) => [
          row.kind,
          row.subjects,
          row.tokenId,
          row.reason,
          row.notBefore,
          row.createdAt,
          row.expiresAt,
          row.seq,
        ]),
      ),
    };
    return { rows: [page] };
  }
}
