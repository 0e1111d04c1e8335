import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadKeys } from './key-file.js';
import { generateKeyFile } from './key-format.js';
import { loadSettings, SettingsError } from '../settings/load-settings.js';

const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const refreshOf = (byte: number, bytes = 32) => ({ secret: Buffer.alloc(bytes, byte).toString('base64url') });
const REFRESH = refreshOf(7);
const ENCRYPTION = { id: 'e1', key: Buffer.alloc(32, 9).toString('base64url') };

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drawbridge-keys-'));
  file = join(folder, 'mine.json');
});
afterEach(() => rm(folder, { recursive: true }));

const ofDataFolder = () => loadKeys(loadSettings({ DATA_DIR: join(folder, 'data') }));
const ofFile = (env: Record<string, string> = {}) => loadKeys(loadSettings({ KEYS_FILE: file, ...env }));
const inProduction = () =>
  ofFile({ NODE_ENV: 'production', DATABASE_URL: 'postgres://db/app', REDIS_URL: 'rediss://cache' });

async function write(content: unknown): Promise<void> {
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
}

function keyFile(privateKey: string, changes: Record<string, unknown> = {}) {
  const keys = { signing: [{ kid: 'k1', privateKey }], refresh: [REFRESH], encryption: [ENCRYPTION] };
  return { environment: 'production', ...keys, ...changes };
}

async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => new Error('it was accepted'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SettingsError);
  return (error as SettingsError).message;
}

describe('Keys of the data folder', () => {
  it('The first boot in development makes keys that only the owner of the process can read, and later boots keep them', async () => {
    const first = await ofDataFolder();
    expect(first.refreshSecrets.map(({ secret }) => secret.length)).toEqual([32]);
    expect(first.signing[0]!.privateKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    expect((await stat(join(folder, 'data', 'keys.json'))).mode & 0o777).toBe(0o600);

    const second = await ofDataFolder();
    expect(second.signing[0]!.kid).toBe(first.signing[0]!.kid);
    expect(second.refreshSecrets).toEqual(first.refreshSecrets);
  });

  it('When several instances boot for the first time at once, all of them use the same key file', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, ofDataFolder));
    const message = Buffer.from('signed by one, verified by all');
    const signature = sign('sha256', message, keys[0]!.signing[0]!.privateKey);
    for (const { signing, refreshSecrets } of keys) {
      expect(verify('sha256', message, createPublicKey(signing[0]!.privateKey), signature)).toBe(true);
      expect(refreshSecrets).toEqual(keys[0]!.refreshSecrets);
    }
    expect(await readdir(join(folder, 'data'))).toEqual(['keys.json']);
  });

  it.each(['', 'below'])(
    'A boot with a DATA_DIR that is no folder stops and names the variable: a file/%s',
    async (below) => {
      await write('nothing');
      const DATA_DIR = join(file, below);
      expect(await refusal(loadKeys(loadSettings({ DATA_DIR })))).toMatch(
        /^DATA_DIR ".*mine\.json.*" .*E(EXIST|NOTDIR).*; allowed: a folder/,
      );
    },
  );

  it('Every generated key file has new keys [KEY-01]', () => {
    const [a, b] = [generateKeyFile('production'), generateKeyFile('production')].map(
      (text) => JSON.parse(text) as ReturnType<typeof keyFile>,
    );
    expect(a!.signing[0]).not.toEqual(b!.signing[0]);
    expect(a!.refresh).not.toEqual(b!.refresh);
  });
});

describe('A key file', () => {
  it('A key file made for production is accepted in production', async () => {
    await write(generateKeyFile('production'));
    expect((await inProduction()).signing).toHaveLength(1);
  });

  it('A key file made for development is refused in production [KEY-01]', async () => {
    await write(generateKeyFile('development'));
    expect(await refusal(inProduction())).toMatch(/^KEYS_FILE was generated for development/);
    expect((await ofFile()).signing).toHaveLength(1);
  });

  it('The key file of the data folder is refused in production', async () => {
    await ofDataFolder();
    file = join(folder, 'data', 'keys.json');
    expect(await refusal(inProduction())).toMatch(/^KEYS_FILE was generated for development/);
  });

  it('A key file may contain several keys: the first one signs, and their order is kept', async () => {
    const signing = ['new', 'old'].map((kid) => ({ kid, privateKey: pem(p256().privateKey) }));
    await write(keyFile('', { signing, refresh: [REFRESH, refreshOf(8)] }));
    const keys = await inProduction();
    expect(keys.signing.map(({ kid }) => kid)).toEqual(['new', 'old']);
    expect(keys.refreshSecrets.map(({ secret }) => secret[0])).toEqual([7, 8]);
  });

  it('A key file may define when a key starts and when it retires, and the key that starts last comes first', async () => {
    const entry = (kid: string, term: object) => ({ kid, privateKey: pem(p256().privateKey), ...term });
    const [first, second] = ['2026-01-01T00:00:00Z', '2026-02-01T00:00:00.000Z'];
    const signing = [entry('since-ever', { retiresAt: second }), entry('next', { startsAt: first })];
    const retired = [{ kid: 'gone', retiredAt: first }];
    await write(keyFile('', { signing, refresh: [REFRESH, { ...refreshOf(8), startsAt: second }], retired }));
    const keys = await inProduction();
    expect(keys.signing).toMatchObject([
      { kid: 'next', startsAt: Date.parse(first) },
      { kid: 'since-ever', retiresAt: Date.parse(second) },
    ]);
    expect(keys.refreshSecrets.map(({ secret }) => secret[0])).toEqual([8, 7]);
    expect(keys.retiredKids).toEqual(['gone']);
  });

  it.each([
    ['its only signing key', [{ retiresAt: '2026-02-01T00:00:00Z' }]],
    [
      'a signing key before the next one signs',
      [{ retiresAt: '2026-02-01T00:00:00Z' }, { startsAt: '2026-02-01T00:00:01Z' }],
    ],
    ['the last one to sign', [{}, { startsAt: '2026-02-01T00:00:00Z', retiresAt: '2026-03-01T00:00:00Z' }]],
  ])('A key file that retires %s is refused, because at some instant no key would sign', async (_, terms) => {
    const signing = terms.map((term, index) => ({
      kid: `k${index}`,
      privateKey: pem(p256().privateKey),
      ...term,
    }));
    await write(keyFile('', { signing }));
    expect(await refusal(ofFile())).toMatch(/^KEYS_FILE retires a signing key before another one signs/);
    const refresh = terms.map((term, index) => ({ ...refreshOf(index), ...term }));
    await write(keyFile(pem(p256().privateKey), { refresh }));
    expect(await refusal(ofFile())).toMatch(
      /^KEYS_FILE retires a refresh secret before another one is in use/,
    );
  });

  it.each([
    ['RSA of 1024 bits', () => pem(generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey)],
    ['RSA of 2048 bits', () => pem(generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey)],
    [
      'RSA with e = 3',
      () => pem(generateKeyPairSync('rsa', { modulusLength: 2_048, publicExponent: 3 }).privateKey),
    ],
    ['P-192', () => pem(generateKeyPairSync('ec', { namedCurve: 'prime192v1' }).privateKey)],
    ['P-384', () => pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey)],
    ['secp256k1', () => pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey)],
    ['Ed25519', () => pem(generateKeyPairSync('ed25519').privateKey)],
    ['X25519', () => pem(generateKeyPairSync('x25519').privateKey)],
    ['a public key', () => p256().publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    [
      'an encrypted key',
      () =>
        p256()
          .privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
          .toString(),
    ],
    ['a shared secret', () => 'correct horse battery staple'],
    ['nothing', () => ''],
  ])(
    'A key file with %s in place of a P-256 private key is refused, and the error does not show the key [TOK-06, TOK-07]',
    async (_kind, make) => {
      const key = make();
      await write(keyFile(key));
      const message = await refusal(ofFile());
      expect(message).toMatch(/^KEYS_FILE has a signing key that is not a P-256 private key/);
      for (const line of key.split('\n').filter((text) => text.length > 20))
        expect(message).not.toContain(line);
    },
  );

  it('A key file with one weak key among good ones is refused [TOK-07]', async () => {
    const weak = pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey);
    const signing = [pem(p256().privateKey), weak].map((privateKey, index) => ({
      kid: `k${index}`,
      privateKey,
    }));
    await write(keyFile('', { signing }));
    expect(await refusal(ofFile())).toMatch(/P-256/);
  });

  const good = () => keyFile(pem(p256().privateKey));
  it.each<[string, () => unknown]>([
    ['no JSON', () => '{"environment":'],
    ['nothing', () => ''],
    ['a list', () => [good()]],
    ['no signing key', () => ({ ...good(), signing: [] })],
    ['no refresh secret', () => ({ ...good(), refresh: [] })],
    ['a short refresh secret', () => ({ ...good(), refresh: [refreshOf(0, 31)] })],
    ['a long refresh secret', () => ({ ...good(), refresh: [refreshOf(0, 33)] })],
    ['no encryption key', () => ({ ...good(), encryption: [] })],
    ['an instant that is none', () => ({ ...good(), refresh: [{ ...REFRESH, startsAt: 'tomorrow' }] })],
    ['a kid with a path', () => ({ ...good(), signing: [{ ...good().signing[0], kid: '../k1' }] })],
    ['no environment', () => ({ ...good(), environment: undefined })],
    ['an environment of its own', () => ({ ...good(), environment: 'staging' })],
    ['an unknown member', () => ({ ...good(), refesh: [REFRESH] })],
  ])('A key file that has %s is refused with an instruction [REF-01]', async (_kind, content) => {
    await write(content());
    const message = await refusal(ofFile());
    expect(message).toMatch(/^KEYS_FILE is not a key file; generate one with `npm run keys:generate`/);
    expect(message).not.toContain('PRIVATE KEY');
  });

  it('A key file with one kid for two keys is refused, because tokens of the first could not be verified', async () => {
    const signing = [1, 2].map(() => ({ kid: 'same', privateKey: pem(p256().privateKey) }));
    await write(keyFile('', { signing }));
    expect(await refusal(ofFile())).toMatch(/^KEYS_FILE has two signing keys with the same kid/);
  });

  it('A key file that has a key or secret twice is refused, because retiring one copy would change nothing [KEY-04]', async () => {
    const privateKey = pem(p256().privateKey);
    await write(keyFile('', { signing: ['a', 'b'].map((kid) => ({ kid, privateKey })) }));
    expect(await refusal(ofFile())).toMatch(/^KEYS_FILE contains the same signing key under two kids/);
    await write(keyFile(privateKey, { refresh: [REFRESH, REFRESH] }));
    expect(await refusal(ofFile())).toMatch(/^KEYS_FILE contains the same refresh secret twice/);
  });

  it('A missing KEYS_FILE is refused and not created, so that a typing error does not end all sessions', async () => {
    expect(await refusal(ofFile())).toMatch(/^KEYS_FILE cannot be read: /);
    await expect(readFile(file)).rejects.toThrow('ENOENT');
  });
});
