import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyFile } from '../../src/platform/keys/key-format.js';
import { ADMIN, ALICE, PASSWORD } from '../../test/support/app.js';
import { backupForms } from '../../test/support/backups.js';
import { startInstance, type Instance } from '../../test/support/instance.js';
import { describeWithOwnRedis } from '../../test/support/redis.js';
import { startPostgres, startRedis } from '../../test/support/services.mjs';
import { eventually } from '../../test/support/waiting.js';

/**
 * Real: PostgreSQL, Redis and an instance as processes of their own, and the commands of the pages, as they stand there.
 * A line `# → text` after a command is the text that the block must print.
 */

const RUNBOOKS = 'docs/operations/runbooks';
const DRILLS = [
  'key-compromise',
  'mass-logout',
  'postgresql-failover',
  'redis-outage',
  'stolen-admin-account',
];
type Server = Awaited<ReturnType<typeof startPostgres>>;

const redis = (await startRedis()) as Server | null;

/** The blocks of a page under one heading. */
function blocksOf(page: string, heading: string): string[] {
  const section = readFileSync(page, 'utf8')
    .split(/^## /m)
    .find((part) => part.startsWith(`${heading}\n`));
  const blocks = [...(section ?? '').matchAll(/^ *```sh\n([\s\S]*?)^ *```/gm)].map(([, block]) => block!);
  expect({ page, heading, blocks: blocks.length > 0 }).toEqual({ page, heading, blocks: true });
  return blocks;
}

function run(script: string, env: Record<string, string>): Promise<string> {
  const { PATH = '', HOME = '' } = process.env;
  return new Promise((done) =>
    execFile('bash', ['-c', `exec 2>&1\n${script}`], { env: { PATH, HOME, ...env } }, (_, output) =>
      done(output),
    ),
  );
}

async function expectBlock(block: string, env: Record<string, string>): Promise<void> {
  const wanted = [...block.matchAll(/^ *# → (.+)$/gm)].map(([, text]) => text!);
  expect(wanted.length).toBeGreaterThan(0);
  const output = await run(block, env);
  for (const text of wanted)
    expect({ block, output }).toMatchObject({ output: expect.stringContaining(text) });
}

it('each runbook has a drill', () => {
  expect(readdirSync(RUNBOOKS).sort()).toEqual(DRILLS.map((name) => `${name}.md`));
});

describeWithOwnRedis(redis, 'the runbook', () => {
  let folder: string;
  let postgres: Server;
  let instance: Instance;
  let env: Record<string, string>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'drawbridge-drill-'));
    postgres = await startPostgres();
    const KEYS_FILE = join(folder, 'keys.json');
    await writeFile(KEYS_FILE, generateKeyFile('production'));
    env = { DATABASE_URL: postgres.url, REDIS_URL: redis!.url, KEYS_FILE, DATA_DIR: folder };
    instance = await startInstance(env);
    env['A'] = instance.url;
  });
  afterEach(async () => {
    await instance.stop();
    await postgres.stop();
    await rm(folder, { recursive: true });
  });

  async function login(email: string): Promise<string> {
    const answer = await fetch(`${instance.url}/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password: PASSWORD, transport: 'bearer' }),
    });
    return ((await answer.json()) as { accessToken: string }).accessToken;
  }
  /** Acts as the page says, once. */
  const act = async (name: string, heading: string) => {
    for (const block of blocksOf(`${RUNBOOKS}/${name}.md`, heading)) await expectBlock(block, env);
  };
  /** Looks until the page is right: instances need a moment. */
  const look = async (name: string, heading: string) => {
    for (const block of blocksOf(`${RUNBOOKS}/${name}.md`, heading))
      await eventually(() => expectBlock(block, env));
  };

  it('of a Redis outage is right, command by command', async () => {
    Object.assign(env, { TOKEN: await login(ALICE.email), EMAIL: ALICE.email });
    await redis!.kill();
    await look('redis-outage', 'Signs');
    await act('redis-outage', 'First minutes');
    await redis!.restart();
    await look('redis-outage', 'Verify');
  });

  it('of a PostgreSQL that takes no writes is right, command by command', async () => {
    env['TOKEN'] = await login(ALICE.email);
    await run(
      `psql "$DATABASE_URL" -c 'alter system set default_transaction_read_only = on' -c 'select pg_reload_conf()'`,
      env,
    );
    await look('postgresql-failover', 'Signs');
    await act('postgresql-failover', 'First minutes');
    await look('postgresql-failover', 'Verify');
  });

  it('of a leaked key is right, command by command', async () => {
    env['TOKEN'] = await login(ALICE.email);
    await act('key-compromise', 'First minutes');
    await look('key-compromise', 'Verify');
  });

  it('of a logout of everyone is right, command by command', async () => {
    env['TOKEN'] = await login(ALICE.email);
    await act('mass-logout', 'First minutes');
    await look('mass-logout', 'Verify');
  });

  it('of a stolen admin account is right, command by command', async () => {
    Object.assign(env, { TOKEN: await login(ADMIN.email), EMAIL: ADMIN.email, OTHER: ALICE.email });
    await act('stolen-admin-account', 'First minutes');
    await look('stolen-admin-account', 'Verify');
    await act('stolen-admin-account', 'Afterwards');
  });

  const [form] = backupForms();
  it('of a restored backup ends the sessions that the backup has, before an instance starts', async () => {
    const token = await login(ALICE.email);
    await instance.stop();
    const restored = await (await form!.take(postgres.url)).restore();
    env['DATABASE_URL'] = restored.url;
    for (const block of blocksOf('docs/operations/restore-a-backup.md', 'Steps'))
      await expectBlock(block, env);
    const { DATABASE_URL, REDIS_URL, KEYS_FILE, DATA_DIR } = env as Record<string, string>;
    instance = await startInstance({
      DATABASE_URL: DATABASE_URL!,
      REDIS_URL: REDIS_URL!,
      KEYS_FILE: KEYS_FILE!,
      DATA_DIR: DATA_DIR!,
    });
    const answer = await fetch(`${instance.url}/v1/users/me`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await answer.json()).toMatchObject({ code: 'auth.session_ended', reason: 'admin_everyone' });
    await instance.stop();
    await restored.drop();
  });
});
