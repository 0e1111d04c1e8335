import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { MAX_COUNTED, type Backlog } from '../../platform/jobs/backlog.js';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';
import type { RequestContext } from '../../platform/http/request.js';
import type { AccountJob } from './account-job.js';

export interface AccountJobRow {
  id: string;
  kind: AccountJob['kind'];
  email: string;
  user_id: string | null;
  session_id: string | null;
  context: RequestContext;
  created_at: Date;
}

const ADD = `
  insert into account_jobs (kind, email, user_id, session_id, context, created_at, due_at)
  values ($1, $2, $3, $4, $5, $6, $6)`;

const TAKE = `
  delete from account_jobs where id = (
    select id from account_jobs where due_at <= $1 order by due_at limit 1 for update skip locked)
  returning id, kind, email, user_id, session_id, context, created_at`;

const BACKLOG = `
  select count(*)::int as count, coalesce(extract(epoch from $1 - min(created_at)) * 1000, 0)::float as age
  from (select created_at from account_jobs order by due_at limit ${MAX_COUNTED}) j`;

/** Skips a job that is running: it waits for this user's lock, and then does not find the user. */
const REMOVE = `
  delete from account_jobs where id in (
    select id from account_jobs where user_id = $1 or email = $2 for update skip locked)`;

/** The table `account_jobs`. The jobs of an account are deleted with it. */
@Injectable()
export class AccountJobRepository {
  constructor(
    private readonly database: DataSource,
    deletions: AccountDeletions,
  ) {
    deletions.register((tx, { id, email }) => tx.query(REMOVE, [id, email]));
  }

  async add(tx: EntityManager, job: AccountJob, requestedAt: Date): Promise<void> {
    const { kind, email, context } = job;
    const { userId, sessionId } = kind === 'email_change' ? job : { userId: null, sessionId: null };
    await tx.query(ADD, [kind, email, userId, sessionId, context, requestedAt]);
  }

  async hasDue(now: Date): Promise<boolean> {
    const due = await this.database.query<unknown[]>('select from account_jobs where due_at <= $1 limit 1', [
      now,
    ]);
    return due.length > 0;
  }

  /** The jobs that wait. */
  async backlog(now: Date): Promise<Backlog> {
    const [backlog] = await this.database.query<[Backlog]>(BACKLOG, [now]);
    return backlog;
  }

  /** Removes the job that is due longest, unless the transaction rolls back. */
  async take(tx: EntityManager, now: Date): Promise<AccountJobRow | undefined> {
    const [[taken]] = await tx.query<[[AccountJobRow | undefined], number]>(TAKE, [now]);
    return taken;
  }

  async postpone(id: string, dueAt: Date): Promise<void> {
    await this.database.query('update account_jobs set due_at = $2 where id = $1', [id, dueAt]);
  }
}
