import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  chmod,
  chown,
  link,
  lstat,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rotateKeyFile } from './key-file.js';
import {
  generateKeyFile,
  keysOf,
  parseKeyFile,
  type KeyFile,
  type KeyKind,
  type RefreshEntry,
} from './key-format.js';
import { rotateKeys } from './key-rotation.js';
import { inUse, isGood, KEPT_MS, MIN_LEAD_MS, newestFirst } from './key-schedule.js';
import { KeyStore } from './key-store.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const NOW = Date.UTC(2026, 0, 1);
const BOTH = ['signing', 'refresh'] as const;
const LEAD = 15 * MINUTE;
const LIFE = { signing: 15 * MINUTE, refresh: 400 * DAY };

const made = () => parseKeyFile(generateKeyFile('production'));
const rotated = (file: KeyFile, now: number, lead: number | null = LEAD, kinds: readonly KeyKind[] = BOTH) =>
  rotateKeys(file, { kinds, now, lead }).file;
const signer = ({ signing }: KeyFile, now: number) => inUse(newestFirst(signing), now).kid;

describe('A planned rotation', () => {
  it('A planned rotation adds a key of each kind, and no instance uses it before the lead time is over', () => {
    const before = made();
    const file = rotated(before, NOW);
    const [next, old] = file.signing;
    expect(old!.kid).toBe(before.signing[0]!.kid);
    expect([NOW, NOW + LEAD - 1, NOW + LEAD].map((now) => signer(file, now))).toEqual([
      old!.kid,
      old!.kid,
      next!.kid,
    ]);
    const minter = (now: number) => inUse(newestFirst(file.refresh), now).secret;
    expect(minter(NOW + LEAD - 1)).toBe(before.refresh[0]!.secret);
    expect(minter(NOW + LEAD)).toBe(file.refresh[0]!.secret);
    expect(file.refresh[0]!.secret).not.toBe(before.refresh[0]!.secret);
  });

  it.each(BOTH)('A planned rotation of %s keys leaves the other keys unchanged', (kind) => {
    const before = made();
    const file = rotated(before, NOW, LEAD, [kind]);
    const other = kind === 'signing' ? 'refresh' : 'signing';
    expect(file[kind]).toHaveLength(2);
    expect(file[other]).toEqual(before[other]);
  });

  it('A second rotation while the next key waits adds no key and reports so', () => {
    const order = { kinds: BOTH, now: NOW, lead: LEAD };
    const first = rotateKeys(made(), order);
    const again = rotateKeys(first.file, { ...order, now: NOW + LEAD - 1 });
    const later = rotateKeys(first.file, { ...order, now: NOW + LEAD });
    expect([first.added, again.added, later.added]).toEqual([[...BOTH], [], [...BOTH]]);
    expect(again.file).toEqual(first.file);
  });

  it('A planned rotation removes expired keys, and remembers their kids for the longest life of a session', () => {
    const before = made();
    const first = rotated(before, NOW);
    const stillNeeded = rotated(first, NOW + LEAD + KEPT_MS.signing - 1);
    expect(stillNeeded.signing.map(({ kid }) => kid)).toContain(before.signing[0]!.kid);
    const later = rotated(first, NOW + LEAD + KEPT_MS.signing);
    expect(later.signing.map(({ kid }) => kid)).not.toContain(before.signing[0]!.kid);
    const retiredAt = NOW + LEAD + KEPT_MS.signing;
    expect(later.retired).toEqual([{ kid: before.signing[0]!.kid, retiredAt }]);
    expect(later.refresh).toHaveLength(3);

    const remembered = (now: number) =>
      rotated(later, now).retired.some(({ kid }) => kid === before.signing[0]!.kid);
    expect(remembered(retiredAt + 400 * DAY - 1)).toBe(true);
    expect(remembered(retiredAt + 400 * DAY)).toBe(false);
    expect(rotated(later, NOW + LEAD + KEPT_MS.refresh).refresh.map(({ secret }) => secret)).not.toContain(
      before.refresh[0]!.secret,
    );
  });

  it('A planned rotation of a file with several old keys lets the first continue to sign, and all of them verify', () => {
    const [a, b] = [made(), made()];
    const old = { ...a, signing: [...a.signing, ...b.signing], refresh: [...a.refresh, ...b.refresh] };
    const file = rotated(old, NOW);
    expect(signer(file, NOW)).toBe(a.signing[0]!.kid);
    const switched = NOW + LEAD;
    expect(file.signing.map(({ retiresAt }) => retiresAt)).toEqual([
      undefined,
      switched + KEPT_MS.signing,
      switched + KEPT_MS.signing,
    ]);
  });

  /**
   * The file that an instance has read may be outdated by almost the minimum lead time. All other instances must
   * accept its tokens until they expire.
   */
  it('No instance refuses a token of another instance, however often keys rotate', () => {
    const rotation = fc.record({ after: fc.nat({ max: 40 * DAY }), more: fc.nat({ max: 2 * LEAD }) });
    const lateness = fc.nat({ max: MIN_LEAD_MS - 1 });
    const moment = fc.record({
      // Just before or after a key starts, or at any other time.
      change: fc.nat(),
      offset: fc.oneof(fc.constantFrom(-1, 0), fc.integer({ min: -2 * LEAD, max: 2 * LEAD })),
      age: fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true })),
      late: lateness,
      otherLate: lateness,
    });
    const schedule = fc.record({
      rotations: fc.array(rotation, { minLength: 1, maxLength: 5 }),
      moments: fc.array(moment, { minLength: 50, maxLength: 50 }),
    });
    fc.assert(
      fc.property(schedule, ({ rotations, moments }) => {
        const versions = [{ at: -Infinity, file: made() }];
        let now = NOW;
        for (const { after, more } of rotations) {
          now += after;
          versions.push({ at: now, file: rotated(versions.at(-1)!.file, now, MIN_LEAD_MS + more) });
        }
        const readBy = (instant: number) => versions.findLast(({ at }) => at <= instant)!.file;
        const changes = versions.flatMap(({ file }) => file.signing.map(({ startsAt = NOW }) => startsAt));
        for (const { change, offset, age, late, otherLate } of moments)
          for (const kind of BOTH) {
            const signedAt = changes[change % changes.length]! + offset;
            const shownAt = signedAt + Math.floor(age * (LIFE[kind] - 1));
            const used = inUse(newestFirst<Entry>(readBy(signedAt - late)[kind]), signedAt);
            const good = readBy(shownAt - otherLate)[kind].filter((entry) => isGood(entry, shownAt));
            expect(good.map(identityOf)).toContain(identityOf(used));
          }
      }),
      { numRuns: 200 },
    );
  });
});

type Entry = KeyFile['signing'][number] | RefreshEntry;
const identityOf = (entry: Entry) => ('kid' in entry ? entry.kid : entry.secret);

describe('Encryption keys', () => {
  const encryption = ['encryption'] as const;
  const storeOf = (file: KeyFile) => new KeyStore(keysOf(file));

  it('Encryption keys rotate like other keys but never retire, because encrypted data is kept for years', () => {
    const before = made();
    const [old] = before.encryption;
    const file = rotated(before, NOW, LEAD, encryption);
    const store = storeOf(file);
    expect([NOW, NOW + LEAD - 1, NOW + LEAD].map((now) => store.encryptionKey(now).id)).toEqual([
      old!.id,
      old!.id,
      file.encryption[0]!.id,
    ]);
    const later = rotated(
      rotated(file, NOW + 800 * DAY, LEAD, encryption),
      NOW + 9_000 * DAY,
      LEAD,
      encryption,
    );
    expect(later.encryption).toHaveLength(4);
    expect(storeOf(later).decryptionKey(old!.id)!.key.toString('base64url')).toBe(old!.key);
    expect(rotateKeys(file, { kinds: encryption, now: NOW + LEAD - 1, lead: LEAD }).added).toEqual([]);
  });

  it('A leaked encryption key encrypts nothing from now on, and still decrypts', () => {
    const before = made();
    const store = storeOf(rotated(before, NOW, null, encryption));
    expect(store.encryptionKey(NOW).id).not.toBe(before.encryption[0]!.id);
    expect(store.decryptionKey(before.encryption[0]!.id)).toBeDefined();
  });

  it('Two encryption keys with the same id are refused', () => {
    const file = JSON.parse(generateKeyFile('production')) as { encryption: object[] };
    expect(() =>
      parseKeyFile(JSON.stringify({ ...file, encryption: [...file.encryption, ...file.encryption] })),
    ).toThrow(/two encryption keys with the same id/);
  });
});

describe('An emergency rotation', () => {
  it('An emergency rotation leaves only the new key, in use at once, even if a next key was waiting', () => {
    const waiting = rotated(made(), NOW);
    const file = rotated(waiting, NOW + 1, null, ['signing']);
    expect(file.signing).toHaveLength(1);
    expect(signer(file, NOW + 1)).toBe(file.signing[0]!.kid);
    expect(file.retired).toEqual(waiting.signing.map(({ kid }) => ({ kid, retiredAt: NOW + 1 })));
    expect(file.refresh).toEqual(waiting.refresh);
    expect(rotated(waiting, NOW + 1, null, ['refresh']).refresh).toHaveLength(1);
  });
});

describe('A rotated key file', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'drawbridge-rotation-'));
    path = join(folder, 'keys.json');
    await writeFile(path, generateKeyFile('production'), { mode: 0o600 });
  });
  afterEach(() => rm(folder, { recursive: true }));

  const order = { kinds: BOTH, now: NOW, lead: LEAD };
  const read = async (at = path) => parseKeyFile(await readFile(at, 'utf8'));

  it('A rotated key file is read as it was written', async () => {
    for (const now of [NOW, NOW + DAY]) {
      const { file } = await rotateKeyFile(path, { ...order, now });
      expect(await read()).toEqual(file);
    }
    expect((await read()).retired).toHaveLength(1);
  });

  it('A rotated key file replaces the old one in one step, so a reader of the old file is not disturbed', async () => {
    const opened = join(folder, 'as-opened-before');
    await link(path, opened);
    const before = await readFile(path, 'utf8');
    await rotateKeyFile(path, order);
    expect(await readFile(opened, 'utf8')).toBe(before);
    expect(await readFile(path, 'utf8')).not.toBe(before);
    expect((await readdir(folder)).toSorted()).toEqual(['as-opened-before', 'keys.json']);
  });

  it.each(['600', '640', '400'])('A rotated key file keeps its mode %s', async (octal) => {
    const mode = parseInt(octal, 8);
    await chmod(path, mode);
    await rotateKeyFile(path, order);
    expect((await stat(path)).mode & 0o777).toBe(mode);
  });

  it('A rotated key file keeps its owner, even if another user rotates it', async () => {
    const isRoot = process.getuid?.() === 0; // only root can change the owner of a file
    const { uid, gid } = isRoot ? { uid: 12_345, gid: 54_321 } : await stat(path);
    await chown(path, uid, gid);
    await rotateKeyFile(path, order);
    expect(await stat(path)).toMatchObject({ uid, gid });
  });

  it('A key file behind a symbolic link is rotated in place, and the link stays', async () => {
    const name = join(folder, 'link.json');
    await symlink('keys.json', name);
    await rotateKeyFile(name, order);
    expect((await lstat(name)).isSymbolicLink()).toBe(true);
    expect((await read()).signing).toHaveLength(2);
  });

  it('Concurrent rotations lose no key: one continues, and the others are refused', async () => {
    let done = 0;
    const keepRotating = async () => {
      for (let round = 0; round < 20; round++)
        await rotateKeyFile(path, { ...order, lead: null }).then(
          () => (done += 1),
          (error: Error) => expect(error.message).toMatch(/another rotation seems to be in progress/),
        );
    };
    await Promise.all(Array.from({ length: 5 }, keepRotating));
    expect(done).toBeGreaterThan(0);
    const file = await read();
    expect([file.signing.length, file.retired.length]).toEqual([1, done]);
    expect(await readdir(folder)).toEqual(['keys.json']);
  });

  it('A rotation is refused while the draft of a crashed one exists, and the error names the draft', async () => {
    const before = await readFile(path, 'utf8');
    await writeFile(`${path}.draft`, '');
    await expect(rotateKeyFile(path, order)).rejects.toThrow(`remove ${path}.draft`);
    expect(await readFile(path, 'utf8')).toBe(before);
    await rm(`${path}.draft`);
    expect((await rotateKeyFile(path, order)).added).toEqual(BOTH);
  });

  it.each([
    ['no key file', 'not JSON', /^KEYS_FILE is not a key file/],
    [
      'a weak key',
      generateKeyFile('production').replace(/MIG[^\\]+/, 'AAAA'),
      /^KEYS_FILE has a signing key/,
    ],
  ])('A rotation of %s is refused, and the file stays unchanged', async (_, text, problem) => {
    await writeFile(path, text);
    await expect(rotateKeyFile(path, order)).rejects.toThrow(problem);
    expect(await readFile(path, 'utf8')).toBe(text);
    expect(await readdir(folder)).toEqual(['keys.json']);
  });

  it('A rotation of a missing key file is refused and creates nothing', async () => {
    await expect(rotateKeyFile(join(folder, 'none.json'), order)).rejects.toThrow(
      /^KEYS_FILE cannot be read/,
    );
    expect(await readdir(folder)).toEqual(['keys.json']);
  });
});
