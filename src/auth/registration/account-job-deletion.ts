import { Injectable } from '@nestjs/common';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';

/** Skips a job that is running: it waits for this user's lock, and then does not find the user. */
const REMOVE = `
  delete from account_jobs where id in (
    select id from account_jobs where user_id = $1 or email = $2 for update skip locked)`;

/** Deletes the jobs of an account together with it. */
@Injectable()
export class AccountJobDeletion {
  constructor(deletions: AccountDeletions) {
    deletions.register((tx, { id, email }) => tx.query(REMOVE, [id, email]));
  }
}
