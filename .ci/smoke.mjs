/**
 * Follows the README like a new user: its start command, the commands that the application prints, and its story,
 * as pasted; with the embedded default and with two instances on real servers. The comments of the story name the
 * status of each request, which is asserted.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres, startRedis } from '../test/support/services.mjs';

const folder = mkdtempSync(join(tmpdir(), 'drawbridge-smoke-'));
const pages = [
  'docs/tutorial/force-logout.md',
  'docs/guides/api-keys.md',
  'docs/guides/oauth.md',
  'docs/guides/open-connections.md',
].map((file) => readFileSync(file, 'utf8'));
const stories = pages.map((page) => /```sh\n([\s\S]*?)```/.exec(page)[1]);
/** The settings with which the pages start the application. */
const SETTINGS = Object.fromEntries(pages.flatMap(settingsIn));
const running = new Set();
// curl with its usual output, and the status on a separate channel
const CURL = `curl() { command curl -w '%{stderr}[status %{http_code}]\\n' "$@"; }\n`;

process.on('exit', () => {
  for (const app of running) process.kill(-app.pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

await embeddedDefault();
await twoInstances();
console.log('smoke: the start command, the printed commands and the story hold');
process.exit(0);

async function embeddedDefault() {
  const env = { ...SETTINGS, PORT: String(await freePort()), DATA_DIR: join(folder, 'data') };
  const first = await start(process.env.START ?? 'npm start', env);
  const commands = first.output.match(/^ {3}curl .*$/gm);
  assert.equal(commands?.length, 3, 'three commands are printed');
  const [login, read, forceLogout] = commands;
  assert.deepEqual(statusesOf(login), [200]);
  assert.deepEqual(statusesOf(read), [200]);
  assert.deepEqual(statusesOf(forceLogout), [200, 200]);
  assert.deepEqual(statusesOf(read), [401], 'the ended session is refused');
  tellStories(first.url, first.url);
  await stop(first, 'SIGINT');

  const second = await start('npm run start:prod', env);
  assert.deepEqual(statusesOf(login), [200], 'the data survived the restart');
  await stop(second, 'SIGKILL');
  const third = await start('npm run start:prod', env);
  assert.deepEqual(statusesOf(login), [200], 'the remains of a kill do not block the start');
  await stop(third, 'SIGINT');
}

async function twoInstances() {
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  assert(redis, 'Redis is needed here');
  const ports = [await freePort(), await freePort()];
  const env = {
    ...SETTINGS,
    APP_URL: `http://localhost:${ports[0]}`,
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    DATA_DIR: join(folder, 'keys'),
  };
  const [a, b] = await Promise.all(
    ports.map((port) => start('npm run start:prod', { ...env, PORT: String(port) })),
  );
  tellStories(a.url, b.url);
  await Promise.all([stop(a, 'SIGTERM'), stop(b, 'SIGTERM')]);
  await Promise.all([postgres.stop(), redis.stop()]);
}

/** Like a terminal: the command in a process group of its own, its output as it arrives. */
async function start(command, env) {
  const app = spawn('bash', ['-c', command], {
    env: { ...process.env, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(app);
  const started = { app, output: '', url: undefined };
  const collect = (chunk) => (started.output += chunk);
  app.stdout.on('data', collect);
  app.stderr.on('data', collect);
  const deadline = Date.now() + 180_000;
  for (;;) {
    const { output } = started;
    started.url = /^.+ listens on (http\S+)$/m.exec(output)?.[1];
    if (started.url && output.includes('\nThen read the profile again')) return started;
    if (app.exitCode !== null || Date.now() > deadline)
      throw new Error(`${command} did not start:\n${output}`);
    await sleep(50);
  }
}

/** Ctrl-C reaches the whole group, as it does in a terminal. */
async function stop({ app, output }, signal) {
  const ended = once(app, 'close');
  process.kill(-app.pid, signal);
  await ended;
  running.delete(app);
  assert(!/"level":"(error|fatal)"/.test(output), `no error was logged meanwhile:\n${output}`);
}

function statusesOf(script) {
  const output = execFileSync('bash', ['-c', `exec 2>&1\n${CURL}${script}`], {
    cwd: folder,
    encoding: 'utf8',
  });
  return [...output.matchAll(/\[status (\d+)\]/g)].map(([, status]) => Number(status));
}

function tellStories(a, b) {
  for (const story of stories) tellStory(story, a, b);
}

function tellStory(story, a, b) {
  const script = story.replace(/^A=.*$/m, `A=${a}`).replace(/^B=.*$/m, `B=${b}`);
  const promised = [...script.matchAll(/→ ((?:\d{3} ?)+)$/gm)].flatMap(([, statuses]) =>
    statuses.trim().split(' ').map(Number),
  );
  assert(promised.length >= 3, 'the story names statuses');
  assert.deepEqual(statusesOf(script), promised);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The names and values before `npm start`. */
function settingsIn(page) {
  const commands = page.matchAll(/^((?:[A-Z_]+=(?:'[^']*'|[^\s']+) )+)npm start$/gm);
  return [...commands].flatMap(([, assignments]) =>
    [...assignments.matchAll(/([A-Z_]+)=(?:'([^']*)'|(\S+)) /g)].map(([, name, quoted, plain]) => [
      name,
      quoted ?? plain,
    ]),
  );
}
