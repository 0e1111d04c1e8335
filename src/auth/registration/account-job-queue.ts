import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { Clock } from '../../platform/runtime/clock.js';
import { Jobs } from '../../platform/jobs/jobs.js';
import type { Backlog } from '../../platform/jobs/backlog.js';
import { QueueWorker } from '../../platform/jobs/queue-worker.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { UserTransactions } from '../../platform/persistence/user-transactions.js';
import { AccountMailService } from './account-mail.service.js';
import { PendingActions } from '../../sessions/pending-actions/pending-actions.service.js';
import { shareEpoch } from '../../sessions/revocation/session-epoch.repository.js';
import type { AccountJob, RequestedAccountJob } from './account-job.js';
import { AccountJobRepository, type AccountJobRow } from './account-job.repository.js';

const RETRY_MS = 60_000;
/** After this time the job is dropped: the user has asked again by then. */
const WORTHLESS_AFTER_MS = 3_600_000;

/**
 * Account jobs of public routes, all about an e-mail address. The routes only insert a row, which takes the same time
 * whether or not the address belongs to an account. Any instance runs the job later, once (ASVS 6.3.8, OWASP: forgot
 * password). The timer of the worker runs it rather than the request, so that its load does not show up as a timing
 * difference in the next request.
 */
@Injectable()
export class AccountJobQueue extends QueueWorker {
  constructor(
    jobs: Jobs,
    private readonly database: DataSource,
    private readonly accountJobs: AccountJobRepository,
    private readonly transactions: UserTransactions,
    private readonly accountMail: AccountMailService,
    private readonly pending: PendingActions,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super(jobs, 'account-jobs', 1);
  }

  /** Adds a job in the caller's transaction. A job of a session requires the lock of its user. */
  async add(tx: EntityManager, job: AccountJob): Promise<void> {
    const requestedAt =
      job.kind === 'email_change'
        ? await this.pending.requestedAt(tx, job)
        : await databaseNow(tx, this.clock);
    await this.accountJobs.add(tx, job, requestedAt);
  }

  protected async backlog(): Promise<Backlog> {
    return this.accountJobs.backlog(await databaseNow(this.database.manager, this.clock));
  }

  protected async handleBatch(): Promise<boolean[]> {
    // Usually no job is due, and this check needs no transaction.
    const isDue = await this.accountJobs.hasDue(await databaseNow(this.database.manager, this.clock));
    return isDue ? this.handleOne() : [];
  }

  private async handleOne(): Promise<boolean[]> {
    let taken: AccountJobRow | undefined;
    try {
      // A user whose row another transaction has locked is tried again at once, not only at the next retry.
      return await this.transactions.run('account jobs', async (tx) => {
        await shareEpoch(tx);
        const now = await databaseNow(tx, this.clock);
        taken = await this.accountJobs.take(tx, now);
        if (!taken) return [];
        if (now.getTime() - taken.created_at.getTime() < WORTHLESS_AFTER_MS)
          await this.accountMail.handle(tx, requestedJobOf(taken), now);
        return [true];
      });
    } catch (error) {
      if (!taken) throw error;
      await this.postpone(taken, error);
      return [false];
    }
  }

  private async postpone({ id, kind }: AccountJobRow, error: unknown): Promise<void> {
    this.logger.warn({ err: error, accountJob: id, kind }, 'an account job failed and will be retried');
    const now = await databaseNow(this.database.manager, this.clock);
    await this.accountJobs.postpone(id, new Date(now.getTime() + RETRY_MS));
  }
}

function requestedJobOf({
  kind,
  email,
  user_id,
  session_id,
  context,
  created_at,
}: AccountJobRow): RequestedAccountJob {
  const request = { email, context, requestedAt: created_at };
  return kind === 'email_change'
    ? { ...request, kind, userId: user_id!, sessionId: session_id! }
    : { ...request, kind };
}
