import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rounds as figureOf } from '../support/figures.mjs';
import { memoryOf } from '../support/world.mjs';
import { deny } from './guards.mjs';
import { PRODUCT } from '../../../dist/product.js';

const HERE = resolve(import.meta.dirname, '../../..');
const REVOCATIONS = 100_000;
/** V8 returns the memory of the start in two steps, the second up to 25 s after the start. */
const IDLE_MS = 30_000;
const GOALS = { npmStart: 10_000, boot: 2_000, memory: 160 };

/** The time to serve: in development, and in production with a large database. */
export async function run(world, { short, say, row }) {
  await onDesk(world, { short, say, row });
  say(`a production boot with ${REVOCATIONS.toLocaleString('en')} live revocations`);
  await deny(world, REVOCATIONS);
  await disableDemoUsers(world);
  const env = production(world);
  const [boots, memory] = [[], []];
  for (let round = 0; round < (short ? 2 : 7); round++) {
    const instance = await world.instance(env);
    await untilReady(instance.url);
    boots.push(instance.readyAfter);
    await sleep(short ? 1_000 : 10_000);
    memory.push(memoryOf(instance.pid));
    await instance.stop();
  }
  row({
    what: `production boot with ${REVOCATIONS.toLocaleString('en')} live revocations`,
    figure: `ready after ${figureOf(boots, 'ms')}`,
    promise: `≤ ${GOALS.boot / 1_000} s`,
    kept: Math.max(...boots) <= GOALS.boot,
    values: boots,
  });
  row({ what: 'its memory when idle, with them', figure: figureOf(memory, 'MB'), values: memory });
  await world.database.query('delete from revocations');
  const instance = await world.instance(env);
  await sleep(short ? 2_000 : IDLE_MS);
  const idle = memoryOf(instance.pid);
  await instance.stop();
  row({
    what: 'memory when idle',
    figure: `${idle} MB`,
    promise: `≤ ${GOALS.memory} MB`,
    kept: idle <= GOALS.memory,
    values: { idle },
  });
}

/** A boot is a process of its own, so few are needed. */
export const rounds = 3;

/** For `--compare`: boots, by their time and their CPU. */
export async function courses(world) {
  await deny(world, REVOCATIONS);
  await disableDemoUsers(world);
  const measure = async () => {
    const instance = await world.instance(production(world));
    await instance.stop();
    return { cost: instance.readyAfter };
  };
  return { courses: [{ name: 'production boot', measure }], stop: async () => undefined };
}

/** Production refuses to start while the demo users can log in. */
const disableDemoUsers = ({ database }) =>
  database.query(`update users set password_hash = '!' where email like '%@example.com'`);

/** As deployed, with a key file of its own. */
function production(world) {
  const keys = join(world.folder, 'production-keys.json');
  try {
    execFileSync(process.execPath, [join(world.tree, 'dist/platform/keys/generate-keys.cli.js'), keys], {
      stdio: 'pipe',
    });
  } catch (error) {
    if (!/exist/i.test(String(error.stderr))) throw error;
  }
  return {
    NODE_ENV: 'production',
    KEYS_FILE: keys,
    LOG_LEVEL: 'info',
    RATE_LIMITS: undefined,
    HOST: '127.0.0.1',
    SMTP_URL: 'smtp://127.0.0.1:1',
  };
}

async function untilReady(url) {
  const { status } = await fetch(`${url}/health/ready`);
  if (status !== 200) throw new Error(`an instance that listens is not ready: ${status}`);
}

/** `npm start`, with the build and the embedded database, which is created the first time. */
async function onDesk(world, { short, say, row }) {
  const data = mkdtempSync(join(world.folder, 'desk-'));
  const times = [];
  for (let count = 0; count < (short ? 2 : 5); count++) {
    say(`npm start${count === 0 ? ', the first' : ''}`);
    times.push(await npmStart(data));
  }
  rmSync(data, { recursive: true, force: true });
  const [first, ...later] = times;
  row({
    what: '`npm start`, from the command to serving',
    figure: `${figureOf(later, 'ms')} after the first (${Math.round(first)} ms)`,
    promise: `≤ ${GOALS.npmStart / 1_000} s`,
    kept: Math.max(...later) <= GOALS.npmStart,
    values: times,
  });
}

async function npmStart(data) {
  const startedAt = performance.now();
  const child = spawn('npm', ['start'], {
    cwd: HERE,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', DATA_DIR: data },
    detached: true, // like Ctrl-C in a terminal, which reaches npm and all its processes
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  const took = await new Promise((ready, reject) => {
    child.stdout.on('data', (chunk) => {
      output += chunk;
      if (output.includes(`${PRODUCT.name} listens on`)) ready(performance.now() - startedAt);
    });
    child.once('close', () => reject(new Error(`npm start ended:\n${output}`)));
  });
  const ended = once(child, 'close');
  process.kill(-child.pid, 'SIGINT');
  await ended;
  return took;
}
