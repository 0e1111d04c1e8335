import { Inject, Injectable } from '@nestjs/common';
import { setTimeout } from 'node:timers/promises';
import { Clock } from '../common/clock.js';
import { LOGGER, type Logger } from '../common/logger.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { databaseNow } from '../database/database-now.js';
import { RevocationDatabase } from '../database/revocation-database.js';
import { RevocationTransactions } from '../database/user-transactions.js';
import { UsersService } from '../users/users.service.js';
import { DenialList, type RevocationNotice } from './denial-list.js';
import type { EndReason } from './end-reason.js';
import { MOST_COUNTED, receiptOf, type Receipt } from './receipt.js';
import { Revocation } from './revocation.entity.js';
import { RevocationLog, type Extent, type Recorded, type RevocationOrder } from './revocation-log.js';
import { RevocationRelay } from './revocation-relay.js';
import { sessionOfTokenId } from './token-id.js';

/** How long a request waits for a sweep. The dispatcher finishes the remaining records. */
const SWEEP_PATIENCE_MS = 2_000;

/**
 * The only API that ends sessions. Its order: first the records, the notice and the audit event in one transaction
 * (`RevocationLog`), then the tombstones (`RevocationRelay`), then the response. A caller with its own transaction
 * writes to the log in it, commits, and calls `settle`.
 *
 * It uses only the connections of `RevocationDatabase`, which other work cannot exhaust.
 */
@Injectable()
export class RevocationService {
  constructor(
    private readonly database: RevocationDatabase,
    private readonly transactions: RevocationTransactions,
    private readonly users: UsersService,
    private readonly log: RevocationLog,
    private readonly relay: RevocationRelay,
    private readonly denials: DenialList,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Ends sessions of one user.
   *
   * @returns a receipt that says whether every session check refuses them by now, or when it will at the latest
   */
  async endSessions(userId: string, extent: Extent, order: RevocationOrder): Promise<Receipt> {
    const recorded = await this.transactions.run(userId, (tx) =>
      this.log.endSessions(tx, userId, extent, order),
    );
    return this.settle(recorded);
  }

  /**
   * Ends one session. A repeated call returns the receipt of the first call.
   *
   * @param owner if given, a session of any other user counts as missing
   * @returns null when the session does not exist
   */
  async endSession(id: string, order: RevocationOrder, owner?: string): Promise<Receipt | null> {
    const userId = await this.ownerOf(id);
    if (userId === null || (owner !== undefined && userId !== owner)) return null;
    const recorded = await this.transactions.run(userId, async (tx) => {
      await this.users.lock(tx, userId);
      return (await this.log.earlierEnd(tx, id)) ?? this.log.endSession(tx, { id, userId }, order);
    });
    return this.settle(recorded);
  }

  /**
   * Ends all sessions of one user.
   *
   * @returns null when the user does not exist
   */
  async endUser(userId: string, order: RevocationOrder): Promise<Receipt | null> {
    const found = await this.database.query<unknown[]>('select from users where id = $1', [userId]);
    return found.length > 0 ? this.endSessions(userId, 'all', order) : null;
  }

  /** Ends everyone's sessions. A sweep ends the records in batches; until it has finished, the receipt is `pending`. */
  async endEveryone(order: RevocationOrder): Promise<Receipt> {
    const { revocation } = await this.database.transaction((tx) => this.log.endEveryone(tx, order));
    this.denials.apply(noticeOf(revocation));
    const swept = this.relay.sweep(revocation).catch((error) => {
      this.logger.warn(
        { err: error, seq: revocation.seq },
        'all sessions were ended; the revocation dispatcher will finish their records',
      );
      return revocation;
    });
    const patience = setTimeout(SWEEP_PATIENCE_MS, revocation, { ref: false });
    return this.receipt(await Promise.race([swept, patience]));
  }

  /**
   * Denies one access token. Its session goes on, and a refresh gets a new token.
   *
   * @param tokenId a `jti` that matches `TOKEN_ID`
   * @returns null when the session of the token does not exist
   */
  async denyToken(tokenId: string, order: RevocationOrder): Promise<Receipt | null> {
    const userId = await this.ownerOf(sessionOfTokenId(tokenId));
    if (userId === null) return null;
    const recorded = await this.transactions.run(userId, (tx) => this.log.denyToken(tx, tokenId, order));
    return recorded && this.settle(recorded);
  }

  /**
   * Call it after the commit. It denies the sessions on this instance at once, updates the session cache, and returns
   * the receipt.
   */
  async settle({ revocation, sessionIds }: Recorded): Promise<Receipt> {
    // A global revocation is completed by its sweep only. Asked for one of its sessions, return the receipt as it
    // stands, without counts.
    if (revocation.appliedAt || revocation.kind === 'everyone') return this.plainReceipt(revocation);
    this.denials.apply(noticeOf(revocation));
    return this.receipt(await this.relay.tellCache(revocation, sessionIds));
  }

  /** The receipt as it stands now; null when the revocation does not exist. */
  async receiptFor(seq: string): Promise<Receipt | null> {
    const revocation = await this.database.getRepository(Revocation).findOneBy({ seq });
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

  private async ownerOf(sessionId: string): Promise<string | null> {
    const [session] = await this.database.query<{ user_id: string }[]>(
      'select user_id from sessions where id = $1',
      [sessionId],
    );
    return session?.user_id ?? null;
  }

  private async receipt(revocation: Revocation): Promise<Receipt> {
    const receipt = await this.plainReceipt(revocation);
    if (revocation.kind !== 'everyone' || revocation.appliedAt) return receipt;
    return { ...receipt, remainingSessions: await this.relay.countLeft(revocation, MOST_COUNTED + 1) };
  }
}

function noticeOf({
  kind,
  subjects,
  tokenId,
  reason,
  notBefore,
  createdAt,
  expiresAt,
}: Revocation): RevocationNotice {
  return {
    kind,
    subjects,
    tokenId,
    reason: reason as EndReason,
    notBefore: notBefore?.getTime() ?? null,
    createdAt: createdAt.getTime(),
    expiresAt: expiresAt.getTime(),
  };
}
