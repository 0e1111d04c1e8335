import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Clock } from '../../platform/runtime/clock.js';
import type { RequestContext } from '../../platform/http/request.js';
import { UserRepository } from '../../users/user.repository.js';
import { AccountJobQueue } from './account-job-queue.js';
import type { Registration } from '../login/auth.schemas.js';
import { PasswordPolicy } from '../passwords/password-policy.js';
import { PasswordsService } from '../passwords/passwords.service.js';

/** Registration of new accounts. */
@Injectable()
export class RegistrationService {
  constructor(
    private readonly database: DataSource,
    private readonly users: UserRepository,
    private readonly policy: PasswordPolicy,
    private readonly passwords: PasswordsService,
    private readonly accountJobQueue: AccountJobQueue,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /**
   * Registers an account. For a taken address the answer and the time are the same, statement by statement, so a
   * client cannot find out who has an account. Only the owner of the address is told, by mail.
   */
  async register({ email, password, displayName }: Registration, context: RequestContext): Promise<void> {
    await this.policy.require(password, 'password', { email, displayName: displayName ?? null });
    const passwordHash = await this.passwords.hash(password);
    await this.database.transaction(async (tx) => {
      const createdAt = new Date(this.clock.now());
      const userId = await this.users.create(tx, { email, passwordHash, displayName, createdAt });
      const details = { taken: !userId };
      await this.audit.record(tx, { type: 'user_created', userId, context, details });
      const kind = userId ? 'registered' : 'registered_taken';
      await this.accountJobQueue.add(tx, { kind, email, context });
    });
  }
}
