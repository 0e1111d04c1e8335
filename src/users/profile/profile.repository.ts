import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { EntityManager, Repository } from 'typeorm';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';
import { UserProfile } from './profile.entity.js';

/** All statements of the table `profiles`. */
@Injectable()
export class ProfileRepository {
  constructor(
    @InjectRepository(UserProfile) private readonly profiles: Repository<UserProfile>,
    deletions: AccountDeletions,
  ) {
    deletions.register((tx, { id: userId }) => tx.delete(UserProfile, { userId }));
  }

  find(userId: string): Promise<UserProfile | null> {
    return this.profiles.findOneBy({ userId });
  }

  /** Changes the given columns and leaves the others as they are. */
  async save(tx: EntityManager, profile: Partial<UserProfile> & Pick<UserProfile, 'userId'>): Promise<void> {
    await tx.upsert(UserProfile, profile, ['userId']);
  }
}
