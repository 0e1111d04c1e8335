import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyFile } from '../../src/platform/keys/key-format.js';
import { ALICE, PASSWORD, resetStores } from '../../test/support/app.js';
import { read } from '../../test/support/forge.js';
import { startInstance, type Instance } from '../../test/support/instance.js';
import { eventually } from '../../test/support/waiting.js';
import { PRODUCT } from '../../src/product.js';

const unusable = (value: 0 | 1) =>
  expect.stringMatching(new RegExp(`^${PRODUCT.metricPrefix}key_file_unusable ${value}$`, 'm'));

/** `npm run keys:rotate -- …` */
function command(env: Record<string, string>, ...args: string[]) {
  const line = ['dist/platform/keys/rotate-keys.cli.js', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, line, { env, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

/** Real: the application's process, PostgreSQL, and the commands that an operator types. */
describe('an instance that is not restarted', () => {
  let folder: string;
  let file: string;
  let instance: Instance;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'drawbridge-rotate-'));
    file = join(folder, 'keys.json');
    await resetStores();
    const { TEST_DATABASE_URL = '', TEST_REDIS_URL = '' } = process.env;
    instance = await startInstance({
      DATABASE_URL: TEST_DATABASE_URL,
      REDIS_URL: TEST_REDIS_URL,
      DATA_DIR: folder,
    });
  });
  afterEach(async () => {
    await instance?.stop();
    await rm(folder, { recursive: true });
  });

  async function call(path: string, body?: object, token?: string) {
    const answer = await fetch(instance.url + path, {
      method: body ? 'POST' : 'GET',
      headers: {
        ...(body && { 'content-type': 'application/json' }),
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: body && JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, any> };
  }
  const login = async () =>
    (await call('/v1/auth/login', { email: ALICE.email, password: PASSWORD, transport: 'bearer' })).body;
  const kids = async () => (await call('/.well-known/jwks.json')).body['keys'].map(({ kid }: any) => kid);
  const rotate = (...args: string[]) => command({ DATA_DIR: folder }, ...args);

  it('loads the next key, survives a broken file, and drops a leaked key [KEY-02]', async () => {
    const alice = await login();
    const [old] = await kids();
    const planned = rotate();
    expect(planned).toMatchObject({
      status: 0,
      output: expect.stringMatching(/signing +[\w-]+ +next +from 2/),
    });
    await eventually(async () => expect(await kids()).toHaveLength(2));
    await eventually(() => expect(instance.output()).toMatch(/the keys have changed/));
    expect(read((await login())['accessToken']).header['kid']).toBe(old);

    const good = await readFile(file, 'utf8');
    await writeFile(file, good.slice(0, -20));
    await eventually(() => expect(instance.output()).toMatch(/KEYS_FILE is not a key file/));
    expect((await call('/v1/users/me', undefined, alice['accessToken'])).status).toBe(200);
    const metrics = async () => (await fetch(`${instance.url}/metrics`)).text();
    expect(await metrics()).toEqual(unusable(1));
    await writeFile(file, good);
    await eventually(() => expect(instance.output()).toMatch(/can be used again/));
    expect(await metrics()).toEqual(unusable(0));

    expect(rotate('--now', '--signing', file).status).toBe(0);
    await eventually(async () =>
      expect(await call('/v1/auth/whoami', undefined, alice['accessToken'])).toMatchObject({
        status: 401,
        body: { code: 'auth.token_expired' },
      }),
    );
    const [fresh] = await kids();
    const renewed = await call('/v1/auth/refresh', { refreshToken: alice['refreshToken'] });
    expect(renewed.status).toBe(200);
    expect(read(renewed.body['accessToken']).header['kid']).toBe(fresh);
    expect((await call('/v1/users/me', undefined, renewed.body['accessToken'])).status).toBe(200);
    const printed = instance.output() + planned.output;
    for (const { secret } of JSON.parse(good).refresh) expect(printed).not.toContain(secret);
    expect(printed).not.toContain('PRIVATE KEY');
  });
});

describe('npm run keys:rotate', () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'drawbridge-rotate-'));
    file = join(folder, 'keys.json');
    await writeFile(file, generateKeyFile('production'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const rotate = (...args: string[]) => command({ KEYS_FILE: file }, ...args);

  it.each([
    ['a lead that is too short for other instances', ['--lead', '5m'], /--lead 5m is too short; at least 6m/],
    ['an invalid lead', ['--lead', 'soon'], /is not a duration/],
    [
      'an emergency without the kind of the leaked key',
      ['--now'],
      /--now requires the kinds of keys to replace: --signing, --refresh, --encryption/,
    ],
    ['both at once', ['--now', '--signing', '--lead', '15m'], /usage:/],
    ['unknown options', ['--sining'], /'--sining'[^]*usage:/],
    ['two files', ['a.json', 'b.json'], /usage:/],
    ['a missing file', ['none.json'], /cannot be read: ENOENT/],
  ])('refuses %s', async (_, args, problem) => {
    const before = await readFile(file, 'utf8');
    expect(rotate(...args)).toMatchObject({ status: 1, output: expect.stringMatching(problem) });
    expect(await readFile(file, 'utf8')).toBe(before);
  });

  it('changes nothing more when it is run twice', async () => {
    expect(rotate('--refresh').output).toMatch(/refresh +[\w-]+ +next/);
    const after = await readFile(file, 'utf8');
    expect(rotate('--refresh')).toMatchObject({
      status: 0,
      output: expect.stringMatching(/^refresh: no key was added/),
    });
    expect(await readFile(file, 'utf8')).toBe(after);
    expect(JSON.parse(after).signing).toHaveLength(1);
  });
});
