import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';

/** An account that is being deleted. Its row still has its address. */
export interface DeletedAccount {
  id: string;
  email: string | null;
}

/**
 * Deletes what a feature has stored for the account. The transaction may be repeated, so a hook must have no effect
 * outside of it. If the hook throws, nothing is deleted.
 */
export type AccountDeletion = (tx: EntityManager, account: DeletedAccount) => Promise<unknown>;

/** The hooks of an account deletion. The owner of each table registers one in its constructor. */
@Injectable()
export class AccountDeletions {
  private readonly hooks: AccountDeletion[] = [];

  register(hook: AccountDeletion): void {
    this.hooks.push(hook);
  }

  /** Runs all hooks, one after the other, under the user's lock and after the user's sessions have been ended. */
  async run(tx: EntityManager, account: DeletedAccount): Promise<void> {
    for (const hook of this.hooks) await hook(tx, account);
  }
}
