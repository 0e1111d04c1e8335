import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { MicroBatcher } from './micro-batcher.js';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe('The batch of look-ups in one turn of the event loop', () => {
  const load = jest.fn<(keys: string[]) => Promise<Map<string, string>>>();
  let batch: MicroBatcher<string>;

  const get = async (key: string) => (await batch.ask(key)).get(key);

  beforeEach(() => {
    load.mockReset();
    load.mockImplementation(async (keys) => new Map(keys.map((key) => [key, `value of ${key}`])));
    batch = new MicroBatcher(load);
  });

  it('Look-ups of one turn become one load with each key once, and each caller gets its own answer', async () => {
    const answers = await Promise.all(['a', 'b', 'a', 'c'].map((key) => get(key)));
    expect(answers).toEqual(['value of a', 'value of b', 'value of a', 'value of c']);
    expect(load.mock.calls).toEqual([[['a', 'b', 'c']]]);
  });

  it('A key requested after the start of a load is loaded again, because that answer would be older than the request', async () => {
    const stored = new Map([['a', 'before']]);
    let answer!: () => void;
    load.mockImplementationOnce(async () => {
      const read = new Map(stored);
      await new Promise<void>((resolve) => (answer = resolve));
      return read;
    });
    load.mockImplementation(async () => new Map(stored));

    const early = get('a');
    await nextTurn();
    stored.set('a', 'after');
    const late = get('a');
    expect(await late).toBe('after');
    answer();
    expect(await early).toBe('before');
    expect(load).toHaveBeenCalledTimes(2);
  });

  it('A look-up of an unknown key returns undefined, and the next one loads it again', async () => {
    load.mockResolvedValueOnce(new Map());
    expect(await get('a')).toBeUndefined();
    expect(await get('a')).toBe('value of a');
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('away'))],
    [
      'throws',
      () => {
        throw new Error('away');
      },
    ],
  ])(
    'All look-ups of a turn fail when the load %s, and the next turn starts a new load',
    async (_how, fail) => {
      load.mockImplementationOnce(fail);
      const answers = await Promise.allSettled([get('a'), get('b'), get('a')]);
      expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
      expect(await get('a')).toBe('value of a');
    },
  );

  it('Each look-up gets the answer of its own key, for any keys in any turn', async () => {
    const key = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'toString', ''));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(key), { maxLength: 5 }), async (turns) => {
        load.mockClear();
        const answers: Promise<string | undefined>[] = [];
        for (const keys of turns) {
          answers.push(...keys.map((asked) => get(asked)));
          await nextTurn();
        }
        expect(await Promise.all(answers)).toEqual(turns.flat().map((asked) => `value of ${asked}`));
        expect(load.mock.calls.map(([keys]) => keys)).toEqual(
          turns.filter((keys) => keys.length > 0).map((keys) => [...new Set(keys)]),
        );
      }),
      { numRuns: 50 },
    );
  });
});
