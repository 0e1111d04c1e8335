import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import {
  EmbeddedPostgresError,
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../packages/dev-postgres/src/embedded-postgres.js';
import { startInstance } from '../../test/support/instance.js';
import { eventually } from '../../test/support/waiting.js';
import { PRODUCT } from '../../src/product.js';

/**
 * Real: the binaries, initdb, the servers, the files, the apps that are killed (of the build). Simulated: nothing.
 */

const LAUNCHER = fileURLToPath(
  new URL('../../packages/dev-postgres/dist/embedded-postgres.js', import.meta.url),
);
const isRoot = process.getuid?.() === 0;

let home: string;
let guard: ChildProcess;
/** Made once, because a synced cluster takes a second or two to make and to delete on some disks. */
let existing: string;
let started: EmbeddedPostgres[] = [];

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'drawbridge-embedded-'));
  chmodSync(home, 0o755); // root's PostgreSQL runs as another user, who needs access
  guard = startGuard(home);
  existing = join(home, 'existing');
  const server = await start(existing);
  await ask(server.url, 'CREATE TABLE kept AS SELECT 42 AS n');
  await server.stop();
});

afterEach(async () => {
  await Promise.all(started.map((server) => server.stop()));
  started = [];
});

afterAll(() => {
  guard.stdin?.end();
});

async function start(dataDir: string, log?: (line: string) => void): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, names: PRODUCT.embeddedPostgres, log });
  started.push(server);
  return server;
}

/** The mechanism that ends servers may be broken, so a separate process that outlives this one ends them. */
function startGuard(folder: string): ChildProcess {
  const script = `
    while read -r _; do :; done
    for lock in "$1"/*/postmaster.pid; do [ -f "$lock" ] && kill -KILL "$(head -n 1 "$lock")"; done
    rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }`;
  const child = spawn('/bin/sh', ['-c', script, 'guard', folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.unref(); // deleting takes a while, and no test waits for it
  return child;
}

/** An app that starts its database and then lives on until it is killed. */
function spawnApp(dataDir: string): ChildProcess {
  const source = `
    import { startEmbeddedPostgres } from ${JSON.stringify(LAUNCHER)};
    const { url, reused } = await startEmbeddedPostgres(${JSON.stringify({ dataDir, names: PRODUCT.embeddedPostgres })});
    console.log(JSON.stringify({ url, reused }));
    process.stdin.on('data', () => { throw new Error('a crash'); });
    setInterval(() => undefined, 1_000);`;
  return spawn(process.execPath, ['--input-type=module', '--eval', source], {
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
}

async function answerOf(app: ChildProcess): Promise<{ url: string; reused: boolean }> {
  const [line] = (await once(createInterface(app.stdout!), 'line')) as [string];
  return JSON.parse(line) as { url: string; reused: boolean };
}

/** As the kernel's out-of-memory killer does it: no handler runs. */
async function killApp(app: ChildProcess): Promise<void> {
  await end(app, () => process.kill(-app.pid!, 'SIGKILL'));
}

async function end(app: ChildProcess, act: () => unknown): Promise<void> {
  const gone = once(app, 'exit');
  act();
  await gone;
}

/** The files in the data folder that a server and its apps keep while they live. */
const leftovers = (dataDir: string): string[] =>
  readdirSync(dataDir).filter(
    (name) => name === 'postmaster.pid' || name.startsWith(PRODUCT.embeddedPostgres.appFile),
  );

async function ask(url: string, query: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined); // the server may end meanwhile
  try {
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(query);
    return Object.values(rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

const recall = (url: string): Promise<unknown> => ask(url, 'SELECT n FROM kept');

async function refusalOf(dataDir: string): Promise<string> {
  const error: unknown = await start(dataDir).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(EmbeddedPostgresError);
  return (error as EmbeddedPostgresError).message;
}

describe('the embedded PostgreSQL', () => {
  it('keeps the data when it is stopped and started', async () => {
    const first = await start(existing);
    expect(first).toMatchObject({ dataDir: existing, reused: false });
    expect(await ask(first.url, 'SELECT current_database()')).toBe(PRODUCT.embeddedPostgres.database);
    await first.stop();
    await first.stop();
    await expect(ask(first.url, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });

    const second = await start(existing);
    expect(second.reused).toBe(false);
    expect(await recall(second.url)).toBe(42);
  });

  it('refuses users who cannot read its password', async () => {
    const { url } = await start(existing);
    const guess = url.replace(/:[^:@]+@/, ':guess@');
    await expect(ask(guess, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    expect(statSync(join(existing, PRODUCT.embeddedPostgres.passwordFile)).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['is killed with its process group', killApp],
    ['alone is killed', (app) => end(app, () => app.kill('SIGKILL'))],
    ['loses its terminal', (app) => end(app, () => process.kill(-app.pid!, 'SIGHUP'))],
    ['crashes', (app) => end(app, () => app.stdin!.write('crash\n'))],
  ] satisfies [string, (app: ChildProcess) => Promise<void>][])(
    'ends by itself when the app %s, and keeps the data',
    async (_, finish) => {
      const app = spawnApp(existing);
      const { url } = await answerOf(app);
      await finish(app);
      await eventually(() => expect(ask(url, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' }));
      await eventually(() => expect(leftovers(existing)).toEqual([]));

      const again = await start(existing);
      expect(again.reused).toBe(false);
      expect(await recall(again.url)).toBe(42);
    },
  );

  it('serves an app that starts at the moment in which the previous one is killed', async () => {
    for (let round = 0; round < 3; round++) {
      const app = spawnApp(existing);
      await answerOf(app);
      await killApp(app);
      const next = spawnApp(existing);
      const { url } = await answerOf(next);
      expect(await recall(url)).toBe(42);
      await killApp(next);
    }
  });

  it('continues for a second app when the app that launched it is killed, and ends with the second', async () => {
    const first = spawnApp(existing);
    const { url } = await answerOf(first);
    const second = spawnApp(existing);
    expect(await answerOf(second)).toEqual({ url, reused: true });
    await killApp(first);
    await eventually(() => expect(leftovers(existing)).toHaveLength(2)); // its lock, and the second app's file
    expect(await recall(url)).toBe(42);
    await killApp(second);
    await eventually(() => expect(ask(url, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' }));
  });

  it('ends with the application at SIGHUP, SIGTERM and SIGKILL', async () => {
    const folder = join(home, 'application');
    const data = join(folder, 'postgres');
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    execFileSync('cp', ['-a', existing, data]);
    for (const signal of ['SIGHUP', 'SIGTERM', 'SIGKILL'] as const) {
      const instance = await startInstance({ DATA_DIR: folder });
      expect(leftovers(data)).toHaveLength(2);
      expect(await instance.stop(signal)).toBe(signal === 'SIGKILL' ? null : 0);
      await eventually(() => expect(leftovers(data)).toEqual([]));
    }
  }, 120_000);

  it('is one server for two apps that start at the same moment', async () => {
    const dataDir = join(home, 'shared');
    const apps = [spawnApp(dataDir), spawnApp(dataDir)];
    const answers = await Promise.all(apps.map(answerOf));
    expect(new Set(answers.map(({ url }) => url)).size).toBe(1);
    expect(answers.map(({ reused }) => reused).toSorted()).toEqual([false, true]);
    await Promise.all(apps.map(killApp));
  });

  it('starts although a crash left a lock, even if another process has its pid by now', async () => {
    const { uid, gid } = statSync(existing);
    const stranger = spawn('sleep', ['60'], { uid, gid, stdio: 'ignore' });
    const ended = spawn('true', { stdio: 'ignore' });
    await once(ended, 'exit');
    try {
      for (const { pid } of [ended, stranger]) {
        writeFileSync(
          join(existing, 'postmaster.pid'),
          `${pid}\n${existing}\n1700000000\n5432\n\n127.0.0.1\n`,
        );
        const server = await start(existing);
        expect(server.reused).toBe(false);
        expect(await recall(server.url)).toBe(42);
        await server.stop();
      }
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    } finally {
      stranger.kill();
    }
  });

  it('does not mistake the server of the folder it was copied from for its own', async () => {
    const original = await start(existing);
    const copy = join(home, 'copy');
    execFileSync('cp', ['-a', existing, copy]);
    const server = await start(copy);
    expect(server.reused).toBe(false);
    expect(await ask(server.url, 'SHOW data_directory')).toBe(copy);
    expect(await recall(original.url)).toBe(42);
  });

  it('starts over when it was killed while it created its data folder', async () => {
    const dataDir = join(home, 'unlucky');
    const drafts = (): string[] => readdirSync(home).filter((name) => name.startsWith('unlucky.init-'));
    const isHalfway = (): boolean =>
      drafts().some((draft) => existsSync(join(home, draft, 'data/PG_VERSION')));
    const app = spawnApp(dataDir);
    while (!isHalfway()) await sleep(2);
    await killApp(app);
    expect(existsSync(dataDir)).toBe(false);
    expect(drafts()).toHaveLength(1);

    const { url } = await start(dataDir);
    expect(await ask(url, 'SELECT 1')).toBe(1);
    expect(drafts()).toHaveLength(0);
  });

  it('leaves a folder unchanged that it did not create', async () => {
    const dataDir = join(home, 'precious');
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'thesis.txt'), 'ten years');
    expect(await refusalOf(dataDir)).toContain(dataDir);
    expect(readFileSync(join(dataDir, 'thesis.txt'), 'utf8')).toBe('ten years');
  });

  it('names the folder whose data belong to another major version', async () => {
    const version = readFileSync(join(existing, 'PG_VERSION'));
    writeFileSync(join(existing, 'PG_VERSION'), '12\n');
    expect(await refusalOf(existing)).toContain(`${existing} were created by PostgreSQL 12`);
    writeFileSync(join(existing, 'PG_VERSION'), version);
  });

  if (isRoot) {
    it('as root, keeps data that belong below a private folder where its user can reach them', async () => {
      const dataDir = join(home, 'private', 'data');
      mkdirSync(join(home, 'private'), { mode: 0o700 });
      const lines: string[] = [];
      const first = await start(dataDir, (line) => lines.push(line));
      try {
        expect(first.dataDir).not.toBe(dataDir);
        expect(lines.join('\n')).toContain(first.dataDir);
        await ask(first.url, 'CREATE TABLE kept AS SELECT 42 AS n');
        await first.stop();
        const second = await start(dataDir);
        expect(second.dataDir).toBe(first.dataDir);
        expect(await recall(second.url)).toBe(42);
      } finally {
        await first.stop();
        rmSync(first.dataDir, { recursive: true });
      }
    });
  } else {
    it('as an ordinary user, names the folder that it cannot write to', async () => {
      const dataDir = join(home, 'sealed', 'data');
      mkdirSync(join(home, 'sealed'), { mode: 0o500 });
      expect(await refusalOf(dataDir)).toContain(dataDir);
    });
  }
});
