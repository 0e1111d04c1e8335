import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Problem } from '../platform/api/problem.js';
import { UserRepository } from '../users/user.repository.js';
import type { Receipt } from './revocation/receipt.js';
import { RevocationWriter } from './revocation/revocation-writer.js';
import { RevocationService } from './revocation/revocation.service.js';

/** Makes changed values of the claims in `src/claims.ts` current. */
@Injectable()
export class ClaimsService {
  constructor(
    private readonly users: UserRepository,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocations: RevocationService,
  ) {}

  /**
   * Changes what the claims of a user are read from. The next session check sees the new values, and so does the next
   * access token. A token that exists keeps its values until it expires.
   *
   * @param change part of the transaction that locks the user; it may run more than once.
   *   Without it, the values have changed already.
   * @returns the receipt of a revocation that ends no session. If it is `pending`, a session check may still see the
   *   old values, until `sessionTierBy` at the latest
   * @throws Problem `resource.not_found`, `auth.unavailable`
   */
  refresh(userId: string, change?: (tx: EntityManager) => Promise<unknown>): Promise<Receipt> {
    return this.revocations.commit(userId, async (tx) => {
      const user = await this.users.lock(tx, userId);
      if (!user || user.deletedAt) throw new Problem('resource.not_found');
      await change?.(tx);
      return this.revocationWriter.markStale(tx, userId, 'claims');
    });
  }
}
