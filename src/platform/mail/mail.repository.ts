import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { MAX_COUNTED, type Backlog } from '../jobs/backlog.js';
import { AccountDeletions } from '../persistence/account-deletions.js';
import type { MailTemplate } from './define-mail.js';

export interface NewMail {
  recipient: string;
  template: string;
  data: object;
  createdAt: Date;
  /** The token of the link; null without a link. */
  tokenId: string | null;
}

export interface ClaimedMail {
  id: string;
  recipient: string;
  template: MailTemplate<never>;
  data: never;
  attempts: number;
  created_at: Date;
  /** The action that the link completes; null without a link. */
  user_id: string | null;
  session_id: string | null;
  requested_at: Date | null;
}

/** Adds a mail, together with the action of its token, if it has one. */
const ADD = `
  insert into mails (recipient, template, data, created_at, next_attempt_at, user_id, session_id, requested_at)
  select $1, $2, $3, $4, $4, t.user_id, t.session_id, t.created_at
  from (select) one left join mailed_tokens t on t.id = $5`;

const CLAIM = `
  update mails set attempts = attempts + 1, next_attempt_at = $2
  where id in (
    select id from mails where given_up_at is null and next_attempt_at <= $1
    order by next_attempt_at limit $3 for update skip locked)
  returning id, recipient, template, data, attempts, created_at, user_id, session_id, requested_at`;

const BACKLOG = `
  select count(*)::int as count, coalesce(extract(epoch from $1 - min(created_at)) * 1000, 0)::float as age
  from (select created_at from mails where given_up_at is null order by next_attempt_at limit ${MAX_COUNTED}) m`;

const REMOVE_GIVEN_UP = `
  delete from mails where id in (
    select id from mails where given_up_at < $1 order by given_up_at limit $2 for update skip locked)`;

/** After months without a mail server there may be very many. */
const REMOVE_BATCH = 1_000;

/** The table `mails`, the outbox. Mails to an address are deleted with its account. */
@Injectable()
export class MailRepository {
  constructor(
    private readonly database: DataSource,
    deletions: AccountDeletions,
  ) {
    deletions.register((tx, { email }) => tx.query('delete from mails where recipient = $1', [email]));
  }

  async add(tx: EntityManager, { recipient, template, data, createdAt, tokenId }: NewMail): Promise<void> {
    await tx.query(ADD, [recipient, template, JSON.stringify(data), createdAt, tokenId]);
  }

  /** Claims mails that are due. The claim postpones the next attempt, so that no other worker takes them. */
  async claim(now: Date, nextAttemptAt: Date, limit: number): Promise<ClaimedMail[]> {
    const [mails] = await this.database.query<[ClaimedMail[], number]>(CLAIM, [now, nextAttemptAt, limit]);
    return mails;
  }

  /** The mails that wait. */
  async backlog(now: Date): Promise<Backlog> {
    const [backlog] = await this.database.query<[Backlog]>(BACKLOG, [now]);
    return backlog;
  }

  async postpone(id: string, nextAttemptAt: Date, givenUpAt: Date | null): Promise<void> {
    await this.database.query('update mails set next_attempt_at = $2, given_up_at = $3 where id = $1', [
      id,
      nextAttemptAt,
      givenUpAt,
    ]);
  }

  async remove(id: string): Promise<void> {
    await this.database.query('delete from mails where id = $1', [id]);
  }

  /** @returns how many mails it removed */
  async removeGivenUp(before: Date): Promise<number> {
    let count = 0;
    for (let removed = REMOVE_BATCH; removed === REMOVE_BATCH; count += removed) {
      [, removed] = await this.database.query<[unknown, number]>(REMOVE_GIVEN_UP, [before, REMOVE_BATCH]);
    }
    return count;
  }
}
