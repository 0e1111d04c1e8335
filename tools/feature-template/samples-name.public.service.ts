import { Injectable } from '@nestjs/common';
import { Clock, databaseNow, Problem, random, SessionFence, type SessionSnapshot } from '#core';
import type { Sample } from './sample-name.entity.js';
import { SampleRepository } from './sample-name.public.repository.js';
import type { SampleInput } from './sample-name.schemas.js';

/** A write commits before its session ends, or not at all: see `SessionFence`. */
@Injectable()
export class SamplesService {
  constructor(
    private readonly samples: SampleRepository,
    private readonly fence: SessionFence,
    private readonly clock: Clock,
  ) {}

  list(): Promise<Sample[]> {
    return this.samples.list();
  }

  /** @throws Problem `resource.not_found` */
  async find(id: string): Promise<Sample> {
    return required(await this.samples.find(id));
  }

  create(session: SessionSnapshot, input: SampleInput): Promise<Sample> {
    return this.fence.write(session, async (tx) => {
      const createdAt = await databaseNow(tx, this.clock);
      const sample = { ...input, id: random.uuid(), userId: session.userId, createdAt };
      await this.samples.insert(tx, sample);
      return sample;
    });
  }

  /** @throws Problem `resource.not_found`, also for a sample text of another user */
  change(session: SessionSnapshot, id: string, input: SampleInput): Promise<Sample> {
    const { userId } = session;
    return this.fence.write(session, async (tx) =>
      required(await this.samples.change(tx, { userId, id }, input)),
    );
  }

  /** @throws Problem `resource.not_found`, also for a sample text of another user */
  async delete(session: SessionSnapshot, id: string): Promise<void> {
    const { userId } = session;
    await this.fence.write(session, async (tx) => {
      if (!(await this.samples.delete(tx, { userId, id }))) throw new Problem('resource.not_found');
    });
  }
}

function required(sample: Sample | null): Sample {
  if (!sample) throw new Problem('resource.not_found');
  return sample;
}
