import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository, type EntityManager } from 'typeorm';
import { AccountDeletions } from '#core';
import { Sample } from './sample-name.entity.js';

const MAX_LISTED = 100;

/** All statements of the table `samples_name`. The samples text of a user are deleted with the account. */
@Injectable()
export class SampleRepository {
  constructor(
    @InjectRepository(Sample) private readonly samples: Repository<Sample>,
    deletions: AccountDeletions,
  ) {
    deletions.register((tx, { id: userId }) => tx.delete(Sample, { userId }));
  }

  /** The newest samples text of all users. */
  list(): Promise<Sample[]> {
    return this.samples.find({ order: { createdAt: 'DESC', id: 'DESC' }, take: MAX_LISTED });
  }

  find(id: string): Promise<Sample | null> {
    return this.samples.findOneBy({ id });
  }

  async insert(tx: EntityManager, sample: Sample): Promise<void> {
    await tx.insert(Sample, sample);
  }

  /** @returns null if the user has no such sample text */
  async change(
    tx: EntityManager,
    { userId, id }: Pick<Sample, 'userId' | 'id'>,
    changes: Omit<Sample, 'id' | 'userId' | 'createdAt'>,
  ): Promise<Sample | null> {
    await tx.update(Sample, { userId, id }, changes);
    return tx.findOneBy(Sample, { userId, id });
  }

  /** @returns false if the user has no such sample text */
  async delete(tx: EntityManager, { userId, id }: Pick<Sample, 'userId' | 'id'>): Promise<boolean> {
    const { affected } = await tx.delete(Sample, { userId, id });
    return affected === 1;
  }
}
