import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';

/** Finds the language tag of the user with an address; null if the user has chosen none, or does not exist. */
export type FindLocale = (tx: EntityManager, address: string) => Promise<string | null | undefined>;

/**
 * The languages of recipients. Without a registered function, all mails are in the language of `MAIL_LOCALE`.
 */
@Injectable()
export class MailLocales {
  private find: FindLocale | undefined;

  /**
   * Registers how the language of a user is found. It runs in the transaction that adds the mail: if it throws, the
   * transaction fails.
   *
   * @throws Error if a function is registered already
   */
  register(find: FindLocale): void {
    if (this.find)
      throw new Error('MailLocales has a function already: one place finds the language of a user');
    this.find = find;
  }

  /** The language tag of the user with this address; null for the language of `MAIL_LOCALE`. */
  async of(tx: EntityManager, address: string): Promise<string | null> {
    return (await this.find?.(tx, address)) ?? null;
  }
}
