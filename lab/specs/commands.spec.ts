import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startApp, resetStores, type TestApp } from '../../test/support/app.js';
import { COMMANDS, runCommand } from '../../test/support/command.js';

/** Each test starts several processes, which takes a while on a busy machine. */
jest.setTimeout(240_000);

/** Real: the commands as processes, PostgreSQL. */
describe('a command that cannot do its work', () => {
  let folder: string;
  let app: TestApp;
  let closedPort: number;
  const { TEST_DATABASE_URL: url = '' } = process.env;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'drawbridge-commands-'));
    await resetStores();
    app = await startApp();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    closedPort = (server.address() as AddressInfo).port;
    server.close();
    await writeFile(join(folder, 'taken.json'), 'taken');
    await writeFile(join(folder, 'no-keys.json'), '{"signing":');
  });
  afterAll(async () => {
    await app.close();
    await rm(folder, { recursive: true });
  });

  const run = (name: string, args: string[] = [], env: Record<string, string> = {}) =>
    runCommand(name, args, env, folder);
  /** One sentence, or the usage, and no stack of Node.js. */
  async function expectSentence(ran: ReturnType<typeof run>, says: RegExp): Promise<void> {
    const { code, output } = await ran;
    expect({ code, output }).toEqual({ code: 1, output: expect.stringMatching(says) });
    expect(output).not.toMatch(
      /^\s+at .*[:(]|node:internal|Node\.js v\d|\.js:\d|\{"level"|\[Error\]|throw /m,
    );
    if (!output.includes('usage:'))
      expect(
        output
          .trim()
          .split('\n')
          .filter((line) => !line.startsWith('applied ')),
      ).toHaveLength(1);
  }
  const at = (change: (url: URL) => void) => {
    const other = new URL(url);
    change(other);
    return { DATABASE_URL: other.href };
  };

  it('is covered by these tests', () => {
    expect(Object.keys(COMMANDS).sort()).toEqual([
      'admin:grant',
      'audit:prune',
      'audit:verify',
      'check:settings',
      'db:migrate',
      'db:revert',
      'docs:settings',
      'keys:generate',
      'keys:rotate',
      'sessions:end',
      'settings:show',
      'users:ban',
    ]);
  });

  const ON_A_DATABASE: [string, string[]][] = [
    ['db:migrate', []],
    ['audit:verify', []],
    ['audit:prune', []],
    ['db:revert', []],
    // As the other commands with the services of an instance.
    ['sessions:end', ['--everyone', '--yes']],
  ];

  it.each(ON_A_DATABASE)(
    'names the database that it needs and cannot reach, and the reason: %s',
    async (name, args) => {
      await expectSentence(run(name, args), /^DATABASE_URL is not set: name the database/);
      await expectSentence(run(name, args, { DATABASE_URL: 'nonsense' }), /DATABASE_URL .* allowed: /);
      await expectSentence(
        run(
          name,
          args,
          at((other) => (other.port = String(closedPort))),
        ),
        /^The PostgreSQL of DATABASE_URL does not answer: .*ECONNREFUSED.*; check that it runs/,
      );
      await expectSentence(
        run(
          name,
          args,
          at((other) => (other.pathname = '/there_is_none')),
        ),
        /^PostgreSQL refuses the role, password or database of DATABASE_URL: /,
      );
    },
  );

  it('prints the remedy for an empty database, or one of another version', async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const empty = `drawbridge_commands_${process.pid}`;
    await client.query(`create database ${empty}`);
    try {
      const database = at((other) => (other.pathname = `/${empty}`));
      await expectSentence(run('admin:grant', ['anna@example.com'], database), /db:migrate/);
      for (const name of ['audit:verify', 'audit:prune'])
        await expectSentence(run(name, [], database), /db:migrate|does not exist/);
      await expectSentence(
        run('db:migrate', [], { ...database, DATABASE_APP_ROLE: 'there_is_none' }),
        /DATABASE_APP_ROLE "there_is_none" cannot be granted its privileges: role "there_is_none" does not exist/,
      );
      await expectSentence(
        run('db:migrate', [], { ...database, DATABASE_APP_ROLE: 'there is none' }),
        /^DATABASE_APP_ROLE "there is none" is empty or has spaces; allowed: /,
      );
    } finally {
      await client.query(`drop database ${empty}`);
      await client.end();
    }
  });

  it.each(Object.keys(COMMANDS))('prints its usage for --help, and does nothing: %s', async (name) => {
    const { code, output } = await run(name, ['--help'], { DATABASE_URL: 'nonsense' });
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringMatching(/^usage: npm run /) });
  });

  it('prints its usage', async () => {
    for (const [name, args] of [
      ['keys:generate', []],
      ['admin:grant', []],
      ['keys:rotate', ['--what']],
      ['keys:rotate', ['a', 'b']],
      ['audit:verify', ['--what']],
      ['db:revert', ['--what']],
      ['sessions:end', ['--everyone']],
      ['sessions:end', ['--everyone', '--yes', '--user', 'anna@example.com']],
      ['users:ban', ['anna@example.com']],
      ['settings:show', ['--what']],
    ] as [string, string[]][])
      await expectSentence(run(name, args, { DATABASE_URL: url }), /usage: npm run |Unknown option '--what'/);
  });

  it('names the setting that it cannot read', async () => {
    await expectSentence(
      run('db:migrate', [], { DATABASE_URL: url, STORE_TLS: 'x' }),
      /^STORE_TLS "x" .*allowed: /,
    );
    await expectSentence(
      run('audit:verify', ['--retention', 'x'], { DATABASE_URL: url }),
      /^--retention "x" is not a duration/,
    );
  });

  it('prints why it cannot act on a user or a session', async () => {
    const { TEST_REDIS_URL: redis } = process.env;
    const database = { DATABASE_URL: url, ...(redis && { REDIS_URL: redis }), DATA_DIR: folder };
    const none = '00000000-0000-4000-8000-00000000000f';
    await expectSentence(run('admin:grant', ['<a@b.co>'], database), /^"<a@b\.co>" is not an e-mail address/);
    await expectSentence(
      run('sessions:end', ['--user', 'none@example.com'], database),
      /^no user has the address none@example\.com/,
    );
    await expectSentence(run('sessions:end', ['--session', none], database), /^no session has this id/);
    await expectSentence(run('users:ban', [none, '--reason', 'x'], database), /^no user has the id /);
    await expectSentence(
      run('admin:grant', ['alice@example.com'], { ...database, KEYS_FILE: join(folder, 'no-keys.json') }),
      /KEYS_FILE/,
    );
    for (const [name, args] of [
      ['admin:grant', ['alice@example.com']],
      ['settings:show', []],
    ] as [string, string[]][])
      await expectSentence(run(name, args, { ...database, PORT: 'x' }), /^PORT "x" .*allowed: /);
  });

  it('prints that a folder of keys is not writable, and that it overwrites no keys', async () => {
    const generate = (path: string) => run('keys:generate', [path]);
    await expectSentence(generate(join(folder, 'none', 'keys.json')), /create the folder .*none first/);
    await expectSentence(
      generate(join(folder, 'taken.json')),
      /taken\.json was not written: the file exists/,
    );
    await expectSentence(generate(join(folder, 'taken.json', 'keys.json')), /was not written \(ENOTDIR/);
    await expectSentence(generate(folder), /was not written/);
    await expectSentence(generate('/proc/keys.json'), /was not written/);
    expect(await readFile(join(folder, 'taken.json'), 'utf8')).toBe('taken');
  });

  it('names the keys that cannot be rotated', async () => {
    const rotate = (...args: string[]) => run('keys:rotate', args);
    await expectSentence(rotate(join(folder, 'none.json')), /KEYS_FILE .*none\.json/);
    await expectSentence(rotate(join(folder, 'no-keys.json')), /KEYS_FILE/);
    await expectSentence(rotate(folder), /KEYS_FILE/);
    await expectSentence(rotate('--lead', '1s'), /--lead 1s is too short/);
    await expectSentence(rotate('--lead', 'x'), /^--lead "x" is not a duration/);
    await expectSentence(rotate('--now'), /^--now requires the kinds of keys/);
  });

  it('names the page that it does not find', async () => {
    await expectSentence(run('docs:settings'), /settings\.md/);
    await expectSentence(run('check:settings'), /settings\.md/);
    await mkdir(join(folder, 'docs/reference'), { recursive: true });
    await writeFile(join(folder, 'docs/reference/settings.md'), 'no table');
    await expectSentence(run('docs:settings'), /^docs\/reference\/settings\.md has lost its /);
  });
});
