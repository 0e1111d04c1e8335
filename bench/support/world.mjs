import { spawn } from 'node:child_process';
import { sign, createPrivateKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { startPostgres, startRedis } from '../../test/support/services.mjs';
import { HttpClient } from './http-client.mjs';

export const PASSWORD = 'drawbridge demo password';

/** A PostgreSQL and a Redis of this run's own, and as many instances of the built application as a suite wants. */
export class World {
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #running = new Set();
  folder = mkdtempSync(join(tmpdir(), 'drawbridge-bench-'));

  static async start() {
    const world = new World();
    [world.postgres, world.redis] = await Promise.all([startPostgres(), startRedis()]);
    if (!world.redis) throw new Error('a redis-server is needed on PATH');
    world.origin = `${world.postgres.origin.split(' started')[0]}, ${world.redis.origin.replace(' on PATH', '')}`;
    world.database = new pg.Pool({ connectionString: world.postgres.url, max: 4 });
    world.database.on('error', () => undefined);
    return world;
  }

  /** Starts one more; resolves when it is ready, and says how long that took. */
  async instance(env = {}) {
    const startedAt = performance.now();
    const child = spawn(process.execPath, [resolve(import.meta.dirname, '../../dist/main.js')], {
      cwd: this.folder,
      env: {
        PATH: process.env.PATH,
        PORT: '0',
        DATABASE_URL: this.postgres.url,
        REDIS_URL: this.redis.url,
        DATA_DIR: this.folder,
        LOG_LEVEL: 'warn',
        API_DOCS: 'false',
        SESSION_LIMIT: '1000',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#running.add(child);
    let output = '';
    const url = await new Promise((found, reject) => {
      child.once('close', () => reject(new Error(`the instance ended:\n${output}`)));
      child.stdout.on('data', (chunk) => {
        output += chunk;
        const [, address] = /Drawbridge listens on (\S+)/.exec(output) ?? [];
        if (address) found(address);
      });
    });
    const stop = async () => {
      this.#running.delete(child);
      const ended = once(child, 'close');
      child.kill('SIGTERM');
      await ended;
    };
    return {
      url,
      http: new HttpClient(url),
      pid: child.pid,
      readyAfter: performance.now() - startedAt,
      stop,
    };
  }

  /** So many live sessions of as many people, in a few statements, each with an access token that the instances take. */
  async sessions(count) {
    const { rows } = await this.database.query(
      `with people as (
         insert into users (id, email, password_hash, created_at)
         select gen_random_uuid(), gen_random_uuid() || '@bench.example', 'x', clock_timestamp() from generate_series(1, $1) returning id
       ), installed as (
         insert into devices (id, user_id, token_digest, name, first_seen_at, last_seen_at)
         select gen_random_uuid(), id, sha256(id::text::bytea), 'x', now(), now() from people returning id, user_id
       )
       insert into sessions (id, user_id, device_id, transport, created_at, last_seen_at, authenticated_at, refresh_nonce, rotation)
       select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7000' || substr(md5(user_id::text), 1, 16))::uuid,
              user_id, id, 'bearer', now(), now(), now(), substring(sha256(id::text::bytea) for 16), '{}'
       from installed returning id, user_id as "userId"`,
      [count],
    );
    return rows.map((row) => ({ ...row, token: this.token(row) }));
  }

  /** Signed with the instances' own key, as they do it. */
  token({ id, userId }) {
    const [{ kid, privateKey }] = JSON.parse(readFileSync(join(this.folder, 'keys.json'), 'utf8')).signing;
    this.key ??= createPrivateKey(privateKey);
    const iat = Math.floor(Date.now() / 1000);
    const jti = Buffer.concat([Buffer.from(id.replaceAll('-', ''), 'hex'), randomBytes(16)]).toString(
      'base64url',
    );
    const claims = {
      iss: 'drawbridge',
      aud: 'drawbridge',
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
    const signature = sign('sha256', Buffer.from(content), { key: this.key, dsaEncoding: 'ieee-p1363' });
    return `${content}.${signature.toString('base64url')}`;
  }

  /** An access token of the seeded admin. */
  async admin({ http }) {
    const { body } = await http.request('POST', '/v1/auth/login', {
      body: { email: 'admin@example.com', password: PASSWORD, transport: 'bearer' },
    });
    return body.accessToken;
  }

  async stop() {
    for (const child of this.#running) child.kill('SIGKILL');
    await this.database.end();
    await Promise.all([this.postgres.stop(), this.redis.stop()]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** CPU that a process has used so far, in milliseconds; null where the system does not tell that way. */
export function cpuOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10; // user + system, in ticks of 10 ms
  } catch {
    return null;
  }
}

/** Resident memory of a process, in MB. */
export function memoryOf(pid) {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}
