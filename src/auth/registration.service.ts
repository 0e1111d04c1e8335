import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { Clock } from '../common/clock.js';
import type { Origin } from '../common/request.js';
import { UsersService } from '../users/users.service.js';
import { AccountErrands } from './account-errands.js';
import type { Registration } from './auth.schemas.js';
import { PasswordPolicy } from './password-policy.js';
import { PasswordsService } from './passwords.service.js';

/** Registration of new accounts. */
@Injectable()
export class RegistrationService {
  constructor(
    private readonly database: DataSource,
    private readonly users: UsersService,
    private readonly policy: PasswordPolicy,
    private readonly passwords: PasswordsService,
    private readonly errands: AccountErrands,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /**
   * Registers an account. For a taken address the answer and the time are the same, statement by statement, so a
   * client cannot find out who has an account. Only the owner of the address is told, by mail.
   */
  async register({ email, password, displayName }: Registration, origin: Origin): Promise<void> {
    await this.policy.require(password, 'password', { email, displayName: displayName ?? null });
    const passwordHash = await this.passwords.hash(password);
    await this.database.transaction(async (tx) => {
      const createdAt = new Date(this.clock.now());
      const userId = await this.users.create(tx, { email, passwordHash, displayName, createdAt });
      const details = { taken: !userId };
      await this.audit.record(tx, { type: 'user_created', userId, origin, details });
      const kind = userId ? 'registered' : 'registered_taken';
      await this.errands.add(tx, { kind, email, origin });
    });
  }
}
