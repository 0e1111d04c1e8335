import { Injectable } from '@nestjs/common';
import { AccountDeletions } from '../persistence/account-deletions.js';

/** Deletes the mails to an address together with its account. */
@Injectable()
export class MailDeletion {
  constructor(deletions: AccountDeletions) {
    deletions.register((tx, { email }) => tx.query('delete from mails where recipient = $1', [email]));
  }
}
