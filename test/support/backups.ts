import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { eventually } from './waiting.js';

/** The content of a database at one moment. */
export interface Backup {
  /** Creates a separate database with the content of the backup. */
  restore(): Promise<{ url: string; drop(): Promise<void> }>;
}

export interface BackupForm {
  form: string;
  /** Requires that no client is connected. */
  take(url: string): Promise<Backup>;
}

/**
 * The copy that every server can make, and the dump that operators take, if there is a `pg_dump` for this server.
 */
export function backupForms(): BackupForm[] {
  const url = process.env['TEST_DATABASE_URL']!;
  const canDump =
    spawnSync('pg_dump', ['--schema-only', url]).status === 0 &&
    spawnSync('psql', ['--version']).status === 0;
  const copy: BackupForm = { form: 'a copy', take: copyOf };
  return canDump ? [copy, { form: 'a dump', take: dumpOf }] : [copy];
}

async function copyOf(url: string): Promise<Backup> {
  const copy = await createDatabase(url, new URL(url).pathname.slice(1));
  return { restore: async () => copy };
}

async function dumpOf(url: string): Promise<Backup> {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-dump-'));
  const file = join(folder, 'dump.sql');
  execFileSync('pg_dump', ['--no-owner', '--file', file, url]);
  const restore = async () => {
    const database = await createDatabase(url, 'template0');
    execFileSync('psql', ['--quiet', '--set', 'ON_ERROR_STOP=1', '--file', file, database.url], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    rmSync(folder, { recursive: true });
    return database;
  };
  return { restore };
}

async function createDatabase(url: string, template: string) {
  const name = `drawbridge_restored_${randomBytes(4).toString('hex')}`;
  // PostgreSQL may still count a client that has just disconnected.
  await eventually(() => administer(url, `create database ${name} template ${template}`));
  const drop = () => administer(url, `drop database ${name} with (force)`);
  return { url: Object.assign(new URL(url), { pathname: `/${name}` }).href, drop };
}

async function administer(url: string, statement: string): Promise<void> {
  const server = Object.assign(new URL(url), { pathname: '/postgres' }).href;
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  await client.query(statement).finally(() => client.end());
}
