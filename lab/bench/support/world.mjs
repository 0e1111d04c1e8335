import { spawn } from 'node:child_process';
import { sign, createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startPostgres, startRedis } from '../../../test/support/services.mjs';
import { ApiKeyFormat } from '../../../dist/auth/api-keys/api-key-format.js';
import { keysFor } from '../../../dist/platform/keys/key-file.js';
import { KeyStore } from '../../../dist/platform/keys/key-store.js';
import { random } from '../../../dist/platform/runtime/random.js';
import { BindingTokens } from '../../../dist/sessions/binding/binding-tokens.js';
import { mintTokenId } from '../../../dist/sessions/token-id.js';
import { initialRotation } from '../../../dist/sessions/refresh/rotation.js';
import { pin, pinned } from './cores.mjs';
import { HttpClient } from './http-client.mjs';
import { USER_AGENT } from './request.mjs';
import { PRODUCT } from '../../../dist/product.js';

export const PASSWORD = PRODUCT.demoPassword;

const HERE = resolve(import.meta.dirname, '../../..');
/** The start command in production: `node`, its flags, the program. */
function productionStart(tree) {
  const { scripts } = JSON.parse(readFileSync(join(tree, 'package.json'), 'utf8'));
  const [, ...flags] = scripts['start:prod'].split(' ');
  return { program: flags.pop(), flags };
}
/** Peers are started in the same way. */
const { flags: NODE_FLAGS } = productionStart(HERE);

/** A PostgreSQL and a Redis of this run's own, and as many instances of the built application as a suite needs. */
export class World {
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #running = new Set();
  #started = 0;
  folder = mkdtempSync(join(tmpdir(), 'drawbridge-bench-'));

  /** @param {string} [tree] the folder whose build it runs */
  static async start(tree = HERE) {
    const world = new World();
    world.tree = tree;
    process.once('exit', () => world.#clear()); // at any kind of end; the stores end by themselves
    [world.postgres, world.redis] = await Promise.all([startPostgres(), startRedis()]);
    if (!world.redis) throw new Error('a redis-server is needed on PATH');
    world.origin = `${world.postgres.origin.split(' started')[0]}, ${world.redis.origin.replace(' on PATH', '')}`;
    world.countsStatements = await countStatements(world.postgres);
    for (const { pid } of [world.postgres, world.redis]) pin(pid, 'stores');
    world.database = new pg.Pool({ connectionString: world.postgres.url, max: 4 });
    world.database.on('error', () => undefined);
    return world;
  }

  /** Starts one more; resolves with the duration when it is ready. */
  instance(env = {}, options = {}) {
    return this.#start(productionStart(this.tree).program, { LOG_LEVEL: 'warn', ...env }, options);
  }

  /**
   * An instance with a route of each tier that answers alike (see app.child.mjs), as it is deployed: alone on its
   * core, with its log in a file.
   */
  tiers(env = {}, { alone = true, nodeArgs = [] } = {}) {
    const child = ['lab/bench', 'bench'].map((folder) => `${folder}/support/app.child.mjs`);
    const program = child.find((path) => existsSync(join(this.tree, path)));
    return this.#start(program, env, { core: alone && 'server', nodeArgs });
  }

  /** Any other server that prints its address on its first lines. */
  async #start(program, env, options) {
    const running = await this.serve(join(this.tree, program), {
      env: {
        PORT: '0',
        DATABASE_URL: this.postgres.url,
        REDIS_URL: this.redis.url,
        DATA_DIR: this.folder,
        API_DOCS: 'false',
        SESSION_LIMIT: '1000',
        RATE_LIMITS: 'off',
        ...env,
      },
      listens: new RegExp(
        `${PRODUCT.name} listens on (\\S+)|"url":"([^"]+)","msg":"${PRODUCT.name} listens"`,
      ),
      ...options,
    });
    return { ...running, http: new HttpClient(running.url) };
  }

  /**
   * @param {string} program
   * @param {{ env: object, listens: RegExp, core?: 'server' | false, nodeArgs?: string[], args?: string[], cwd?:
   * string }} options `listens`: its output, with the address, when it is ready
   */
  async serve(program, { env, listens, core, nodeArgs = [], args = [], cwd = this.folder }) {
    const startedAt = performance.now();
    const log = join(this.folder, `log-${this.#started++}`);
    const output = openSync(log, 'a');
    const child = spawn(...pinned(core, process.execPath, [...NODE_FLAGS, ...nodeArgs, program, ...args]), {
      cwd,
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', output, 'inherit'],
    });
    closeSync(output);
    this.#running.add(child);
    let url;
    while (!url) {
      const text = readFileSync(log, 'utf8');
      if (child.exitCode !== null || child.signalCode) throw new Error(`${program} ended:\n${text}`);
      url = listens.exec(text)?.slice(1).find(Boolean);
      if (!url) await sleep(2);
    }
    const stop = async () => {
      if (!this.#running.delete(child)) return;
      const ended = once(child, 'close');
      child.kill('SIGTERM');
      await ended;
    };
    return {
      url,
      pid: child.pid,
      readyAfter: performance.now() - startedAt,
      /** Deletes the logs of a load, which would fill the disk. */
      forgetLog: () => truncateSync(log),
      stop,
    };
  }

  /**
   * Creates so many live sessions of as many users, in a few statements, each with an access token that the
   * instances accept.
   * @param {{ transport?: 'bearer' | 'cookie', isBound?: boolean }} [kind] `isBound`: to a device key
   */
  async sessions(count, kind = {}) {
    const rows = await this.#insert(count, kind);
    await this.database.query('analyze users, devices, sessions');
    return rows.map((row) => ({ ...row, token: this.token(row, kind) }));
  }

  async #insert(count, { transport = 'bearer', isBound = false } = {}) {
    const { rows } = await this.database.query(
      `with people as (
         insert into users (id, email, password_hash, created_at)
         select gen_random_uuid(), gen_random_uuid() || '@bench.example', 'x', clock_timestamp() from generate_series(1, $1) returning id
       ), installed as (
         insert into devices (id, user_id, token_digest, name, browser, os, first_seen_at, last_seen_at)
         select gen_random_uuid(), id, sha256(id::text::bytea), 'Chrome on Windows', 'Chrome', 'Windows', now(), now() from people returning id, user_id
       )
       insert into sessions (id, user_id, device_id, transport, ip, user_agent, created_at, last_seen_at, authenticated_at, refresh_nonce, rotation,
                             device_key, bound_at, binding_version)
       select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7000' || substr(md5(user_id::text), 1, 16))::uuid,
              user_id, id, $4, '203.0.113.150', $2, now(), now(), now(), substring(sha256(id::text::bytea) for 16), $3,
              case when $5 then '{"kty":"EC"}'::jsonb end, case when $5 then now() end, $5::int
       from installed returning id, user_id as "userId"`,
      [count, USER_AGENT, JSON.stringify(initialRotation()), transport, isBound],
    );
    return rows;
  }

  /** Creates so many API keys of as many users, for the route of the tier `key`. @returns their texts */
  async keys(count) {
    const format = new ApiKeyFormat({ nodeEnv: 'development', apiKeyPrefix: PRODUCT.apiKeyPrefix });
    const keys = Array.from({ length: count }, () => {
      const id = random.uuidAt(Date.now());
      return { id, ...format.mint(id) };
    });
    await this.database.query(
      `with people as (
         insert into users (id, email, password_hash, created_at)
         select id, id || '@bench.example', 'x', now() from unnest($1::uuid[]) id returning id)
       insert into api_keys (id, user_id, name, scopes, digest, created_at)
       select key.id, people.id, 'a machine', '{bench:read}', decode(key.digest, 'base64'), now()
       from people join unnest($1::uuid[], $2::text[]) key (id, digest) using (id)`,
      [keys.map(({ id }) => id), keys.map(({ digest }) => digest)],
    );
    await this.database.query('analyze users, api_keys');
    return keys.map(({ text }) => text);
  }

  /** Creates so many more live sessions without use, for their number. */
  async crowd(count) {
    const SHARE = 50_000;
    for (let done = 0; done < count; done += SHARE) await this.#insert(Math.min(SHARE, count - done));
    await this.database.query('vacuum analyze users, devices, sessions');
  }

  /** Creates so many users who can log in, all with the password of the seeded ones. */
  async people(count) {
    const { rows } = await this.database.query(
      `insert into users (id, email, password_hash, created_at)
       select gen_random_uuid(), gen_random_uuid() || '@bench.example',
              (select password_hash from users where email = 'admin@example.com'), clock_timestamp()
       from generate_series(1, $1) returning id, email`,
      [count],
    );
    return rows;
  }

  /** Signed with the instances' own key, in the same way. */
  token({ id, userId }, { transport = 'bearer', isBound = false } = {}) {
    this.key ??= this.#signingKey();
    const { kid, key } = this.key;
    const iat = Math.floor(Date.now() / 1000);
    const jti = mintTokenId(id, 0, { transport, needsKey: isBound });
    const claims = {
      iss: PRODUCT.slug,
      aud: PRODUCT.slug,
      sub: userId,
      sid: id,
      jti,
      iat,
      exp: iat + 900,
      roles: ['user'],
    };
    const content = [{ alg: 'ES256', typ: 'at+jwt', kid }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const signature = sign('sha256', Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' });
    return `${content}.${signature.toString('base64url')}`;
  }

  /** The cookie by which the browser of a bound session shows that it has proved the device key. */
  boundCookie({ id }) {
    this.bindingTokens ??= new BindingTokens(
      new KeyStore(keysFor({ nodeEnv: 'development' }, this.#keyFile())),
      {
        now: Date.now,
      },
    );
    const expiresAt = Date.now() + 60 * 60_000;
    return this.bindingTokens.mint('boundCookie', { sessionId: id, number: 1, expiresAt });
  }

  #signingKey() {
    const [{ kid, privateKey }] = JSON.parse(this.#keyFile()).signing;
    return { kid, key: createPrivateKey(privateKey) };
  }

  #keyFile() {
    return readFileSync(join(this.folder, 'keys.json'), 'utf8');
  }

  /** An access token of the seeded admin. */
  async admin({ http }) {
    const { body } = await http.request('POST', '/v1/auth/login', {
      body: { email: 'admin@example.com', password: PASSWORD, transport: 'bearer' },
    });
    return body.accessToken;
  }

  /** CPU of PostgreSQL and Redis so far, in milliseconds. */
  cpuOfStores() {
    return cpuOfFamily(this.postgres.pid) + cpuOf(this.redis.pid);
  }

  async stop() {
    this.#clear();
    await this.database.end();
    await Promise.all([this.postgres.stop(), this.redis.stop()]);
  }

  #clear() {
    for (const child of this.#running) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** @returns whether PostgreSQL will count its statements; not all of its packages include the extension */
async function countStatements(postgres) {
  const ask = async (...statements) => {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  const load = `alter system set shared_preload_libraries = 'pg_stat_statements'`;
  try {
    await ask('create extension pg_stat_statements', load);
  } catch {
    return false;
  }
  await postgres.restart();
  return true;
}

/** CPU of a process and of its children, also of those that have ended, as {@link cpuOf}. */
export function cpuOfFamily(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean);
  return children.reduce((total, child) => total + (ofTicks(child) ?? 0), ofTicks(pid, 4));
}

/** CPU of a process so far, in milliseconds; null where the system does not report it in this way. */
export function cpuOf(pid) {
  try {
    return ofThreads(pid);
  } catch {
    return ofTicks(pid);
  }
}

/** To the nanosecond, if the kernel reports it: user and system of all current threads. */
function ofThreads(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const used = threads.map((id) =>
    Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]),
  );
  return used.reduce((total, nanoseconds) => total + nanoseconds / 1e6, 0);
}

/** In ticks of 10 ms. @param {2 | 4} fields 4 includes its ended children */
function ofTicks(pid, fields = 2) {
  try {
    const times = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .split(') ')[1]
      .split(' ')
      .slice(11, 11 + fields);
    return times.reduce((total, ticks) => total + Number(ticks) * 10, 0);
  } catch {
    return null;
  }
}

/** Resident memory of a process, in MB. */
export function memoryOf(pid) {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}
