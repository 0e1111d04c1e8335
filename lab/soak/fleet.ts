import { hashSync } from '@node-rs/argon2';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../../test/support/outside-person.js';
import { startPostgres, startRedis, type Server } from '../../test/support/services.mjs';
import { eventually } from '../../test/support/waiting.js';

export const PASSWORD = 'a long password of the soak test';
/** As in deploy/systemd: proxies notice within this time that an instance is ready again. */
const SETTLE_MS = 3_000;

/** One instance of the built application, as `npm run start:prod` runs it, always on the same port. */
export class FleetInstance {
  private child!: ChildProcess;

  constructor(
    readonly port: number,
    private readonly env: Record<string, string>,
    private readonly log: string,
  ) {}

  async start(): Promise<void> {
    const output = openSync(this.log, 'a');
    this.child = spawn(process.execPath, ['--max-semi-space-size=32', resolve('dist/server/main.js')], {
      cwd: tmpdir(), // away from a developer's .env
      env: { PATH: process.env['PATH'], PORT: String(this.port), ...this.env },
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    await this.untilReady();
  }

  async untilReady(): Promise<void> {
    await eventually(async () => {
      if (this.child.exitCode !== null)
        throw new Error(`the instance ended:\n${this.output().slice(-2_000)}`);
      const { ok } = await fetch(`http://127.0.0.1:${this.port}/health/ready`);
      if (!ok) throw new Error('the instance is not ready');
    });
  }

  /** As `systemctl stop`. @returns the exit code */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const gone = once(this.child, 'exit');
    this.child.kill(signal);
    await gone;
    return this.child.exitCode;
  }

  output = () => readFileSync(this.log, 'utf8');

  /** Resident memory in MiB. */
  memory(): number {
    const [, kib] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))!;
    return Number(kib) / 1_024;
  }
}

/** Two instances in production mode, with a PostgreSQL and a Redis of their own. */
export class Fleet {
  readonly instances: FleetInstance[] = [];
  private readonly folder = mkdtempSync(join(tmpdir(), 'drawbridge-fleet-'));
  postgres!: Server;
  redis!: Server;
  database!: pg.Pool;

  static async start(env: Record<string, string> = {}): Promise<Fleet> {
    const fleet = new Fleet();
    try {
      await fleet.boot(env);
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  private async boot(env: Record<string, string>): Promise<void> {
    const redis = startRedis();
    this.postgres = await startPostgres();
    this.redis = (await redis)!;
    this.database = new pg.Pool({ connectionString: this.postgres.url, max: 2 });
    this.database.on('error', () => undefined); // the server may be restarted
    const keys = join(this.folder, 'keys.json');
    const command = (file: string, ...args: string[]) =>
      execFileSync(process.execPath, [resolve('dist', file), ...args], {
        env: { PATH: process.env['PATH'], DATABASE_URL: this.postgres.url },
      });
    command('platform/keys/generate-keys.cli.js', keys);
    command('platform/persistence/migrate.cli.js');
    for (const name of ['a', 'b']) {
      const settings = {
        NODE_ENV: 'production',
        HOST: '127.0.0.1',
        DATABASE_URL: this.postgres.url,
        REDIS_URL: this.redis.url,
        KEYS_FILE: keys,
        APP_URL: 'https://app.example.com',
        TRUSTED_PROXIES: '127.0.0.1',
        SMTP_URL: 'smtp://127.0.0.1:9', // no mail is sent
        SUSPICION_NEW_DEVICE: 'off',
        CACHE_BUDGET: '1s', // a busy machine
        ...env,
      };
      this.instances.push(new FleetInstance(await freePort(), settings, join(this.folder, `${name}.log`)));
    }
    await Promise.all(this.instances.map((instance) => instance.start()));
  }

  /** @returns the e-mail addresses of new users, who log in with {@link PASSWORD} */
  async addUsers(count: number): Promise<string[]> {
    const passwordHash = hashSync(PASSWORD);
    const emails = Array.from({ length: count }, () => `${randomUUID()}@soak.example`);
    await this.database.query(
      `insert into users (id, email, email_verified_at, password_hash, roles, display_name, created_at)
       select gen_random_uuid(), email, now(), $2, '{user}', 'Soak', now() from unnest($1::text[]) as email`,
      [emails, passwordHash],
    );
    return emails;
  }

  /** As `systemctl restart` for one instance after the other. @returns the exit codes of the stopped ones */
  async rollingRestart(): Promise<(number | null)[]> {
    const codes: (number | null)[] = [];
    for (const instance of this.instances) {
      codes.push(await instance.stop());
      await instance.start();
      await sleep(SETTLE_MS);
    }
    return codes;
  }

  /** Log lines with a level of error or worse. */
  errors(): string[] {
    return this.instances.flatMap((instance) =>
      instance
        .output()
        .split('\n')
        .filter((line) => /^\{"level":("(error|fatal)"|[56]0)/.test(line)),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.instances.map((instance) => instance.stop('SIGKILL')));
    await this.database?.end();
    await Promise.all([this.postgres?.stop(), this.redis?.stop()]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
