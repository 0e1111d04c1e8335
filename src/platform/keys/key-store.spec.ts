import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { TestClock } from '../../../test/support/clock.js';
import { formatKeyFile, generateKeyFile, keysOf, keyIdOf, parseKeyFile } from './key-format.js';
import { rotateKeys } from './key-rotation.js';
import { KeyFileWatcher, KeyStore } from './key-store.js';

const LEAD = 15 * 60_000;
const made = generateKeyFile('production');
const keysIn = (text: string) => keysOf(parseKeyFile(text));
const kidsOf = ({ current }: KeyStore) => current.signing.map(({ kid }) => kid);

let folder: string;
let path: string;
let clock: TestClock;
let lines: { level: number; msg: string; event?: string; problem?: string; keys?: string[] }[];
let store: KeyStore;
let follower: KeyFileWatcher;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drawbridge-follower-'));
  path = join(folder, 'keys.json');
  await writeFile(path, made);
  clock = new TestClock();
  lines = [];
  store = new KeyStore(keysIn(made));
  follower = followerOf(path);
});
afterEach(() => rm(folder, { recursive: true }));

function followerOf(keysFile: string): KeyFileWatcher {
  const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  return new KeyFileWatcher({ keysFile, dataDir: folder, nodeEnv: 'production' }, store, clock, logger);
}

function rotated(text: string, lead: number | null = LEAD): string {
  const order = { kinds: ['signing', 'refresh'], now: clock.now(), lead } as const;
  return formatKeyFile(rotateKeys(parseKeyFile(text), order).file);
}

describe('An instance that follows its key file', () => {
  it('The key follower loads changed keys and logs the stage of each key by name only [LOG-01]', async () => {
    await follower.poll();
    expect(lines).toEqual([]);
    const [old] = store.current.signing;
    const sealing = store.current.encryption[0]!.id;
    const oldSecret = keyIdOf(store.current.refreshSecrets[0]!.secret);

    const text = rotated(made);
    await writeFile(path, text);
    await follower.poll();
    const [next] = store.current.signing;
    const nextSecret = keyIdOf(store.current.refreshSecrets[0]!.secret);
    expect(next!.kid).not.toBe(old!.kid);
    expect(lines.map(({ event }) => event)).toEqual(['sys_keys_changed']);
    expect(lines.map(({ keys }) => keys)).toEqual([
      [
        `next signing ${next!.kid}`,
        `current signing ${old!.kid}`,
        `next refresh ${nextSecret}`,
        `current refresh ${oldSecret}`,
        `current encryption ${sealing}`,
      ],
    ]);

    clock.advance(LEAD);
    await follower.poll();
    expect(lines[1]!.keys).toEqual([
      `current signing ${next!.kid}`,
      `former signing ${old!.kid}`,
      `current refresh ${nextSecret}`,
      `former refresh ${oldSecret}`,
      `current encryption ${sealing}`,
    ]);
    await follower.poll();
    expect(lines).toHaveLength(2);
    for (const secret of [...text.matchAll(/"secret": "([^"]+)"|\\n(\S{40,})\\n/g)].flatMap(
      ([, a, b]) => a ?? b!,
    ))
      expect(JSON.stringify(lines)).not.toContain(secret);
  });

  it('The key follower keeps the same keys object while the file is unchanged', async () => {
    await follower.poll();
    const { current } = store;
    await writeFile(path, made);
    await follower.poll();
    expect(store.current).toBe(current);
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['is gone', () => rm(path), /cannot be read: ENOENT/],
    ['is half written', () => writeFile(path, made.slice(0, 300)), /is not a key file/],
    ['is empty', () => writeFile(path, ''), /is not a key file/],
    [
      'holds a broken key',
      () => writeFile(path, made.replace(/MIG[^\\]+/, 'AAAA')),
      /not a P-256 private key/,
    ],
    [
      'is one of development',
      () => writeFile(path, generateKeyFile('development')),
      /was generated for development/,
    ],
  ])(
    'The key follower keeps its keys while the file %s, logs the problem once, and loads the next valid file',
    async (_, harm, problem) => {
      const kids = kidsOf(store);
      await harm();
      for (let round = 0; round < 3; round++) await follower.poll();
      expect(kidsOf(store)).toEqual(kids);
      expect(lines).toEqual([
        expect.objectContaining({ level: 50, problem: expect.stringMatching(problem) }),
      ]);

      await writeFile(path, rotated(made));
      await follower.poll();
      expect(kidsOf(store)).toHaveLength(2);
      expect(lines.slice(1).map(({ msg }) => msg)).toEqual([
        'the key file can be used again',
        'the keys have changed',
      ]);
    },
  );

  it('The key follower follows the symbolic links that Kubernetes swaps', async () => {
    const version = async (name: string, text: string) => {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, 'keys.json'), text);
      await symlink(name, join(folder, '..data.new'));
      await rename(join(folder, '..data.new'), join(folder, '..data'));
    };
    await rm(path);
    await version('..1', made);
    await symlink('..data/keys.json', path);
    await follower.poll();
    await version('..2', rotated(made));
    await rm(join(folder, '..1'), { recursive: true });
    await follower.poll();
    expect(kidsOf(store)).toHaveLength(2);
  });
});
