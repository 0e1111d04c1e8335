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

/** How long a request waits for everyone's records; the rest is the relay's. */
const SWEEP_PATIENCE_MS = 2_000;

/**
 * The one door through which sessions end. In order: the records, the notice and the audit event in
 * one transaction (`RevocationLog`); then the tombstones (`RevocationRelay`); then the answer. Who has a
 * transaction of their own writes to the log in it, commits, and settles.
 *
 * All of it uses the connections of `RevocationDatabase`, which other work cannot use up.
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

  /** Ends sessions of one user, and answers when every session check knows or until when it will. */
  async endSessions(userId: string, extent: Extent, order: RevocationOrder): Promise<Receipt> {
    const recorded = await this.transactions.run(userId, (tx) =>
      this.log.endSessions(tx, userId, extent, order),
    );
    return this.settle(recorded);
  }

  /**
   * Ends one session. Asked again, it answers with the receipt of the first time.
   * @param owner when given, a session of anybody else is not found
   * @returns null when there is no such session
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
   * @returns null when there is no such user
   */
  async endUser(userId: string, order: RevocationOrder): Promise<Receipt | null> {
    const found = await this.database.query<unknown[]>('select from users where id = $1', [userId]);
    return found.length > 0 ? this.endSessions(userId, 'all', order) : null;
  }

  /** Ends everybody's sessions. Their records follow in batches; the receipt is `pending` until they have. */
  async endEveryone(order: RevocationOrder): Promise<Receipt> {
    const { revocation } = await this.database.transaction((tx) => this.log.endEveryone(tx, order));
    this.denials.apply(noticeOf(revocation));
    const swept = this.relay.sweep(revocation).catch((error) => {
      this.logger.warn(
        { err: error, seq: revocation.seq },
        'everyone was ended; the relay will finish their records',
      );
      return revocation;
    });
    const patience = setTimeout(SWEEP_PATIENCE_MS, revocation, { ref: false });
    return this.receipt(await Promise.race([swept, patience]));
  }

  /**
   * Denies one access token. Its session lives on, and a refresh gets another.
   * @param tokenId a `jti` of the grammar `TOKEN_ID`
   * @returns null when there is no session that it could belong to
   */
  async denyToken(tokenId: string, order: RevocationOrder): Promise<Receipt | null> {
    const userId = await this.ownerOf(sessionOfTokenId(tokenId));
    if (userId === null) return null;
    const recorded = await this.transactions.run(userId, (tx) => this.log.denyToken(tx, tokenId, order));
    return recorded && this.settle(recorded);
  }

  /** After the commit: refuses here at once, tells the cache, and says how far that got. */
  async settle({ revocation, sessionIds }: Recorded): Promise<Receipt> {
    // The end of everyone is settled by its sweep alone: what is asked again here is one session of many, and how many is nobody's business.
    if (revocation.appliedAt || revocation.kind === 'everyone') return this.plainReceipt(revocation);
    this.denials.apply(noticeOf(revocation));
    return this.receipt(await this.relay.tellCache(revocation, sessionIds));
  }

  /** The receipt as it stands now; null when there is no such revocation. */
  async receiptFor(seq: string): Promise<Receipt | null> {
    const revocation = await this.database.getRepository(Revocation).findOneBy({ seq });
    return revocation && this.receipt(revocation);
  }

  /** By the database's clock, which also wrote down when the revocation was made. Without its answer nothing is promised too early. */
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
