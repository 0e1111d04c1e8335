import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { EntityManager, Repository } from 'typeorm';
import { UserProfile } from './profile.entity.js';

/** All statements of the table `profiles`. */
@Injectable()
export class ProfileRepository {
  constructor(@InjectRepository(UserProfile) private readonly profiles: Repository<UserProfile>) {}

  find(userId: string): Promise<UserProfile | null> {
    return this.profiles.findOneBy({ userId });
  }

  /** Changes the given columns and leaves the others as they are. */
  async save(tx: EntityManager, profile: Partial<UserProfile> & Pick<UserProfile, 'userId'>): Promise<void> {
    await tx.upsert(UserProfile, profile, ['userId']);
  }

  async delete(tx: EntityManager, userId: string): Promise<void> {
    await tx.delete(UserProfile, { userId });
  }
}
