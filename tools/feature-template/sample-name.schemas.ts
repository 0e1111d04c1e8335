import { z } from 'zod';
import { instant, text, uuid } from '#core';
import type { Sample } from './sample-name.entity.js';

/** The body of a request that creates or changes a sample text. */
export const SampleInput = z.strictObject({
  title: text({ max: 200 }).meta({ examples: ['A title'] }),
});
export type SampleInput = z.infer<typeof SampleInput>;

export const SampleView = z.object({
  id: uuid,
  title: z.string().meta({ examples: ['A title'] }),
  createdAt: instant,
});

export const SampleList = z.object({ items: z.array(SampleView) });

export function sampleView({ id, title, createdAt }: Sample): z.infer<typeof SampleView> {
  return { id, title, createdAt: createdAt.toISOString() };
}
