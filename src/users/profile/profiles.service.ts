import { Injectable } from '@nestjs/common';
import { Problem } from '../../platform/api/problem.js';
import { UserTransactions } from '../../platform/persistence/user-transactions.js';
import { UserRepository } from '../user.repository.js';
import type { UserProfile } from './profile.entity.js';
import { PROFILE_FIELDS } from './profile.fields.js';
import { ProfileRepository } from './profile.repository.js';

const NAMES = Object.keys(PROFILE_FIELDS) as (keyof typeof PROFILE_FIELDS)[];

/** The values of the fields in `profile.fields.ts`. */
export type ProfileValues = { [Name in keyof typeof PROFILE_FIELDS]: UserProfile[Name] | null };

/** Reads and writes the fields of users that belong to the application. */
@Injectable()
export class ProfilesService {
  constructor(
    private readonly profiles: ProfileRepository,
    private readonly transactions: UserTransactions,
    private readonly users: UserRepository,
  ) {}

  /** All fields of a user; null for those that are not set. It asks nothing if no field is declared. */
  async find(userId: string): Promise<ProfileValues> {
    if (NAMES.length === 0) return {} as ProfileValues;
    const found = await this.profiles.find(userId);
    return Object.fromEntries(NAMES.map((name) => [name, found?.[name] ?? null])) as ProfileValues;
  }

  /**
   * Changes some fields. The user is locked, so that a change cannot follow the deletion of the account.
   *
   * @throws Problem `resource.not_found`, `auth.unavailable`
   */
  async change(userId: string, values: Partial<ProfileValues>): Promise<void> {
    if (Object.keys(values).length === 0) return;
    await this.transactions.run(userId, async (tx) => {
      const user = await this.users.lock(tx, userId);
      if (!user || user.deletedAt) throw new Problem('resource.not_found');
      await this.profiles.save(tx, { ...values, userId });
    });
  }
}
