/**
 * The real PostgreSQL and Redis of the tests: found on the machine, or started for this run. Needs a build (`npm
 * test` makes one first) and a POSIX system.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { askPostgres, askRedis, START_MS, startReaper } from './processes.mjs';
import {
  canCopyPostgres,
  installedPostgres,
  postgresUrl,
  startPgBouncer,
  startPostgres,
  startRedis,
} from './servers.mjs';

export { canCopyPostgres, startPgBouncer, startPostgres, startRedis };

/** @typedef {import('./services.d.mts').Service} Service */

const execute = promisify(execFile);

export const NO_REDIS =
  'no Redis found: neither TEST_REDIS_URL nor REDIS_URL is set, no redis-server or valkey-server is on PATH, ' +
  'and Docker could not start one';

/**
 * The servers of the environment, else those of the machine, else Docker, else the embedded PostgreSQL and no
 * Redis.
 * @returns {Promise<{ postgres: Service, redis: Service | null }>}
 */
export async function findServices() {
  const [postgres, redis] = await Promise.all([findPostgres(), findRedis()]);
  return { postgres, redis };
}

async function findPostgres() {
  return (
    (await givenPostgres()) ??
    (installedPostgres() && (await startPostgres())) ??
    (await startContainer(POSTGRES_CONTAINER)) ??
    (await startPostgres({ binaries: 'embedded' }))
  );
}

async function findRedis() {
  return (await givenRedis()) ?? (await startRedis()) ?? (await startContainer(REDIS_CONTAINER)) ?? null;
}

// --- Servers that the environment names

async function givenPostgres() {
  const name = ['TEST_DATABASE_URL', 'DATABASE_URL'].find((variable) => process.env[variable]);
  if (!name) return undefined;
  try {
    const version = await askPostgres(process.env[name], 'SHOW server_version');
    return {
      url: process.env[name],
      origin: `PostgreSQL ${parseFloat(version)} named by ${name}`,
      stop: async () => undefined,
    };
  } catch (error) {
    throw unanswered(name, 'PostgreSQL', error);
  }
}

async function givenRedis() {
  const name = ['TEST_REDIS_URL', 'REDIS_URL'].find((variable) => process.env[variable]);
  if (!name) return undefined;
  const { createClient } = await import('redis');
  const client = createClient({
    url: process.env[name],
    socket: { connectTimeout: 5_000, reconnectStrategy: false },
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const version = /(?:valkey|redis)_version:([\d.]+)/.exec(await client.info('server'))?.[1];
    client.destroy();
    return {
      url: process.env[name],
      origin: `Redis ${version} named by ${name}`,
      stop: async () => undefined,
    };
  } catch (error) {
    throw unanswered(name, 'Redis', error);
  }
}

/**
 * A missing server of the environment is an error, because a replacement would test something else than requested.
 */
const unanswered = (name, kind, error) =>
  new Error(
    `${name} is set, but no ${kind} answers there (${error.message || error.code}). Correct it or unset it.`,
  );

// --- Docker

const POSTGRES_CONTAINER = {
  image: 'postgres:17-alpine',
  port: 5432,
  options: ['-e', 'POSTGRES_HOST_AUTH_METHOD=trust'],
  command: [
    '-c',
    'max_connections=300',
    '-c',
    'fsync=off',
    '-c',
    'synchronous_commit=off',
    '-c',
    'full_page_writes=off',
  ],
  urlOf: postgresUrl,
  isReady: async (port) => Boolean(await askPostgres(postgresUrl(port), 'SELECT 1')),
};

const REDIS_CONTAINER = {
  image: 'redis:7-alpine',
  port: 6379,
  options: [],
  command: ['redis-server', '--save', '', '--appendonly', 'no'],
  urlOf: (port) => `redis://127.0.0.1:${port}`,
  isReady: async (port) => (await askRedis(port, 'PING')).startsWith('+PONG'),
};

/** @returns {Promise<Service | undefined>} undefined when Docker does not answer, or can't get the image */
async function startContainer({ image, port, options, command, urlOf, isReady }) {
  const name = `drawbridge-test-${randomBytes(4).toString('hex')}`;
  try {
    await execute('docker', ['info'], { timeout: 3_000 });
  } catch {
    return undefined;
  }
  startReaper('while read -r line; do :; done; docker rm -f "$1"', name);
  try {
    const publish = ['--name', name, '-p', `127.0.0.1::${port}`];
    await execute('docker', ['run', '--rm', '-d', ...publish, ...options, image, ...command], {
      timeout: 180_000,
    });
    const { stdout } = await execute('docker', ['port', name, `${port}/tcp`]);
    const published = Number(/:(\d+)\s*$/.exec(stdout)?.[1]);
    for (
      const deadline = Date.now() + START_MS;
      !(await isReady(published).catch(() => false));
      await sleep(100)
    ) {
      if (Date.now() > deadline) throw new Error(`it does not answer on port ${published}`);
    }
    const stop = async () => void (await execute('docker', ['rm', '-f', name]));
    return { url: urlOf(published), origin: `${image} in Docker`, stop };
  } catch (error) {
    console.warn(`Docker answers, but ${image} can't be used: ${error.stderr || error.message}`);
    return undefined;
  }
}
