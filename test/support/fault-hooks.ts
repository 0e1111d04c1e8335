import { jest } from '@jest/globals';
import { createClient } from 'redis';

type Method = (this: unknown, ...args: unknown[]) => Promise<unknown>;

/** Removes everything from the worker's Redis, as a restart without persistence does. */
export async function flushRedis(): Promise<void> {
  const client = createClient({ url: process.env['TEST_REDIS_URL']! });
  await client.connect();
  await client.flushDb();
  client.destroy();
}

/**
 * Stops the first caller of a method, does something else, and lets the caller continue.
 *
 * @returns whether that has happened
 */
export function interruptAt(
  on: new (...args: never[]) => object,
  method: string,
  meanwhile: () => Promise<unknown>,
  when: 'before' | 'after' = 'before',
): () => boolean {
  const target = on.prototype as Record<string, Method>;
  const original = target[method]!;
  let [stopped, done] = [false, false];
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    await meanwhile();
    done = true;
  };
  jest.spyOn(target, method).mockImplementation(async function (this: unknown, ...args) {
    if (when === 'before') await stop();
    const result = await original.apply(this, args);
    if (when === 'after') await stop();
    return result;
  });
  return () => done;
}
