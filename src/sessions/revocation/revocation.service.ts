import { Inject, Injectable } from '@nestjs/common';
import { setTimeout } from 'node:timers/promises';
import { Clock } from '../../platform/runtime/clock.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { Settings } from '../../platform/settings/settings.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { RevocationDatabase } from '../../platform/persistence/revocation-database.js';
import { RevocationTransactions, UserTransactions } from '../../platform/persistence/user-transactions.js';
import type { EntityManager } from 'typeorm';
import { UserRepository } from '../../users/user.repository.js';
import { DenialList, type RevocationNotice } from './denial-list.js';
import type { EndReason } from './end-reason.js';
import { MAX_COUNTED, receiptOf, type Receipt } from './receipt.js';
import type { Revocation } from './revocation.entity.js';
import { findRevocation } from './revocation.repository.js';
import {
  RevocationWriter,
  type SessionSelector,
  type PendingRevocation,
  type RevocationCause,
  type RevocationTx,
} from './revocation-writer.js';
import { RevocationDispatcher } from './revocation-dispatcher.js';
import { userOfSession } from './session-end.repository.js';
import { sessionOfTokenId } from '../token-id.js';

/** How long a request waits for a sweep. The dispatcher finishes the remaining records. */
const SWEEP_TIMEOUT_MS = 2_000;

/** The result of a transaction: a receipt in place of a revocation that it has recorded. */
export type Committed<T> = T extends PendingRevocation ? Receipt : T;

/**
 * The only API that ends sessions. Its order: first the records, the notice and the audit event in one transaction
 * (`RevocationWriter`), then the tombstones (`RevocationDispatcher`), then the response. {@link commit} does the same
 * for a larger change, of which the end of sessions is a part.
 *
 * All methods but {@link commit} use only the connections of `RevocationDatabase`, which other work cannot exhaust.
 */
@Injectable()
export class RevocationService {
  constructor(
    private readonly database: RevocationDatabase,
    private readonly transactions: UserTransactions,
    private readonly reserved: RevocationTransactions,
    private readonly users: UserRepository,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocationDispatcher: RevocationDispatcher,
    private readonly denials: DenialList,
    private readonly clock: Clock,
    private readonly settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Runs a transaction that changes a user and ends sessions, or makes cached sessions stale. After the commit it
   * publishes every revocation that a `RevocationWriter` has recorded in the transaction: it denies the sessions on
   * this instance at once, and updates the session cache. If the instance crashes in between, the revocation dispatcher
   * of any instance does the rest.
   *
   * @param work may run more than once, see {@link UserTransactions}
   * @param reserved true if the purpose of the change is to end sessions: the transaction then gets a connection that
   *   other work cannot exhaust
   * @returns the result of `work`. If that is a revocation that it has recorded, its receipt instead
   * @throws Problem `auth.unavailable`
   */
  async commit<T>(
    userId: string,
    work: (tx: RevocationTx) => Promise<T>,
    { reserved = false } = {},
  ): Promise<Committed<T>> {
    const transactions = reserved ? this.reserved : this.transactions;
    const { result, pending } = await transactions.run(userId, async (plain) => {
      const tx = revocationTx(plain);
      return { result: await work(tx), pending: tx.pendingRevocations };
    });
    const receipts: Receipt[] = [];
    for (const each of pending) receipts.push(await this.publish(each));
    const index = pending.findIndex((each) => each === result);
    return (index === -1 ? result : receipts[index]) as Committed<T>;
  }

  /**
   * Ends sessions of one user.
   *
   * @returns a receipt that says whether every session check refuses them by now, or when it will at the latest
   */
  endSessions(userId: string, selector: SessionSelector, cause: RevocationCause): Promise<Receipt> {
    const work = (tx: RevocationTx) => this.revocationWriter.endSessions(tx, userId, selector, cause);
    return this.commit(userId, work, { reserved: true });
  }

  /**
   * Ends one session. A repeated call returns the receipt of the first call.
   *
   * @param owner if given, a session of any other user counts as missing
   * @returns null when the session does not exist
   */
  async endSession(id: string, cause: RevocationCause, owner?: string): Promise<Receipt | null> {
    const userId = await userOfSession(this.database, id);
    if (userId === null || (owner !== undefined && userId !== owner)) return null;
    const work = async (tx: RevocationTx) => {
      await this.users.lock(tx, userId);
      return (
        (await this.revocationWriter.existingRevocation(tx, id)) ??
        this.revocationWriter.endSession(tx, { id, userId }, cause)
      );
    };
    return this.commit(userId, work, { reserved: true });
  }

  /**
   * Ends all sessions of one user.
   *
   * @returns null when the user does not exist
   */
  async endUser(userId: string, cause: RevocationCause): Promise<Receipt | null> {
    return (await this.users.exists(this.database, userId)) ? this.endSessions(userId, 'all', cause) : null;
  }

  /** Ends everyone's sessions. A sweep ends the records in batches; until it has finished, the receipt is `pending`. */
  async endEveryone(cause: RevocationCause): Promise<Receipt> {
    const { revocation } = await this.database.transaction((tx) =>
      this.revocationWriter.endEveryone(revocationTx(tx), cause),
    );
    this.denials.apply(noticeOf(revocation));
    const swept = this.revocationDispatcher.sweep(revocation).catch((error) => {
      this.logger.warn(
        { err: error, seq: revocation.seq },
        'all sessions were ended; the revocation dispatcher will finish their records',
      );
      return revocation;
    });
    const timeout = setTimeout(SWEEP_TIMEOUT_MS, revocation, { ref: false });
    return this.receipt(await Promise.race([swept, timeout]));
  }

  /**
   * Denies one access token. Its session goes on, and a refresh gets a new token.
   *
   * @param tokenId a `jti` that matches `TOKEN_ID`
   * @returns null when the session of the token does not exist
   */
  async denyToken(tokenId: string, cause: RevocationCause): Promise<Receipt | null> {
    const userId = await userOfSession(this.database, sessionOfTokenId(tokenId));
    if (userId === null) return null;
    const work = (tx: RevocationTx) => this.revocationWriter.denyToken(tx, tokenId, cause);
    return this.commit(userId, work, { reserved: true });
  }

  /** After the commit: denies the sessions on this instance at once, and updates the session cache. */
  private async publish({ revocation, ids }: PendingRevocation): Promise<Receipt> {
    // A global revocation is completed by its sweep only. Asked for one of its sessions, return the receipt as it
    // stands, without counts.
    if (revocation.appliedAt || revocation.kind === 'everyone') return this.plainReceipt(revocation);
    this.denials.apply(noticeOf(revocation));
    return this.receipt(await this.revocationDispatcher.writeTombstones(revocation, ids));
  }

  /** The receipt as it stands now; null when the revocation does not exist. */
  async receiptFor(seq: string): Promise<Receipt | null> {
    const revocation = await findRevocation(this.database.manager, { seq });
    return revocation && this.receipt(revocation);
  }

  /**
   * Uses the database's clock, which also set `createdAt`. If the database does not answer, `createdAt` serves as the
   * time, so the receipt never promises too early.
   */
  private async plainReceipt(revocation: Revocation): Promise<Receipt> {
    const now = revocation.appliedAt
      ? revocation.appliedAt
      : await databaseNow(this.database.manager, this.clock).catch(() => revocation.createdAt);
    return receiptOf(revocation, this.settings, now.getTime());
  }

  private async receipt(revocation: Revocation): Promise<Receipt> {
    const receipt = await this.plainReceipt(revocation);
    if (revocation.kind !== 'everyone' || revocation.appliedAt) return receipt;
    return {
      ...receipt,
      remainingSessions: await this.revocationDispatcher.countLeft(revocation, MAX_COUNTED + 1),
    };
  }
}

function revocationTx(tx: EntityManager): RevocationTx {
  return Object.assign(tx, { pendingRevocations: [] });
}

function noticeOf({
  seq,
  kind,
  subjects,
  tokenId,
  reason,
  notBefore,
  createdAt,
  expiresAt,
}: Revocation): RevocationNotice {
  return {
    seq: Number(seq),
    kind,
    subjects,
    tokenId,
    reason: reason as EndReason,
    notBefore: notBefore?.getTime() ?? null,
    createdAt: createdAt.getTime(),
    expiresAt: expiresAt.getTime(),
  };
}
