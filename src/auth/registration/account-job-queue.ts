import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { Clock } from '../../platform/runtime/clock.js';
import { repeat } from '../../platform/jobs/repeat.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import type { RequestContext } from '../../platform/http/request.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { UserTransactions } from '../../platform/persistence/user-transactions.js';
import { AccountMailService } from './account-mail.service.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import { shareEpoch } from '../../sessions/revocation/session-epoch.js';
import type { AccountJob, RequestedAccountJob } from './account-job.js';

/**
 * Jobs run on a one-second timer rather than immediately, so that their load does not show up as a timing difference
 * in the next request.
 */
const INTERVAL_MS = 1_000;
const RETRY_MS = 60_000;
/** After this time the job is dropped: the user has asked again by then. */
const WORTHLESS_AFTER_MS = 3_600_000;

interface Row {
  id: string;
  kind: AccountJob['kind'];
  email: string;
  user_id: string | null;
  session_id: string | null;
  context: RequestContext;
  created_at: Date;
}

const TAKE = `
  delete from account_jobs where id = (
    select id from account_jobs where due_at <= $1 order by due_at limit 1 for update skip locked)
  returning id, kind, email, user_id, session_id, context, created_at`;

/**
 * Account jobs of public routes, all about an e-mail address. The routes only insert a row, which takes the same time
 * whether or not the address belongs to an account. Any instance runs the job later, once (ASVS 6.3.8, OWASP: forgot
 * password).
 */
@Injectable()
export class AccountJobQueue implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private stop: () => void = () => undefined;

  constructor(
    private readonly database: DataSource,
    private readonly transactions: UserTransactions,
    private readonly accountMail: AccountMailService,
    private readonly pending: PendingActions,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    const failed = (error: unknown) =>
      this.logger.debug({ err: error }, 'account jobs are waiting: PostgreSQL is unavailable');
    this.stop = repeat(INTERVAL_MS, () => this.run(), failed);
  }

  beforeApplicationShutdown(): void {
    this.stop();
  }

  /** Adds a job in the caller's transaction. A job of a session requires the lock of its user. */
  async add(tx: EntityManager, job: AccountJob): Promise<void> {
    const { kind, email, context } = job;
    const { userId, sessionId } = kind === 'email_change' ? job : { userId: null, sessionId: null };
    const requestedAt = userId
      ? await this.pending.requestedAt(tx, { userId, sessionId })
      : await databaseNow(tx, this.clock);
    await tx.query(
      `insert into account_jobs (kind, email, user_id, session_id, context, created_at, due_at)
       values ($1, $2, $3, $4, $5, $6, $6)`,
      [kind, email, userId, sessionId, context, requestedAt],
    );
  }

  /**
   * Runs all jobs that are due.
   * @returns how many
   */
  async run(): Promise<number> {
    for (let count = 0; ; count += 1) {
      if (!(await this.hasDue()) || !(await this.runOne())) return count;
    }
  }

  /** Usually no job is due, and this check needs no transaction. */
  private async hasDue(): Promise<boolean> {
    const now = await databaseNow(this.database.manager, this.clock);
    const due = await this.database.query<unknown[]>('select from account_jobs where due_at <= $1 limit 1', [
      now,
    ]);
    return due.length > 0;
  }

  private async runOne(): Promise<boolean> {
    let taken: Row | undefined;
    try {
      // A user whose row another transaction has locked is tried again at once, not only at the next retry.
      return await this.transactions.run('account jobs', async (tx) => {
        await shareEpoch(tx);
        const now = await databaseNow(tx, this.clock);
        [[taken]] = await tx.query<[[Row | undefined], number]>(TAKE, [now]);
        if (!taken) return false;
        if (now.getTime() - taken.created_at.getTime() < WORTHLESS_AFTER_MS)
          await this.accountMail.handle(tx, errandOf(taken), now);
        return true;
      });
    } catch (error) {
      if (!taken) throw error;
      await this.postpone(taken, error);
      return true;
    }
  }

  private async postpone({ id, kind }: Row, error: unknown): Promise<void> {
    this.logger.warn({ err: error, job: id, kind }, 'an account job failed and will be retried');
    const now = await databaseNow(this.database.manager, this.clock);
    await this.database.query('update account_jobs set due_at = $2 where id = $1', [
      id,
      new Date(now.getTime() + RETRY_MS),
    ]);
  }
}

function errandOf({ kind, email, user_id, session_id, context, created_at }: Row): RequestedAccountJob {
  const request = { email, context, requestedAt: created_at };
  return kind === 'email_change'
    ? { ...request, kind, userId: user_id!, sessionId: session_id! }
    : { ...request, kind };
}
