import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import pg from 'pg';
import { createClient } from 'redis';
import { AuditChainJob } from '../../src/platform/audit/audit-chain.job.js';
import { grantToApp } from '../../src/platform/persistence/app-role.js';
import { requireMigrated } from '../../src/platform/persistence/migrate.js';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { MailOutbox } from '../../src/platform/mail/mail-outbox.js';
import { SessionCleanupJob } from '../../src/sessions/cleanup/session-cleanup.job.js';
import { ADMIN, ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { untilCached } from '../../test/support/session-probes.js';
import { loggedIn } from '../../test/support/test-users.js';
import { describeWithOwnRedis } from '../../test/support/redis.js';
import { startRedisProcess, type RedisProcess } from '../../test/support/redis-cluster.mjs';
import { PRODUCT } from '../../src/product.js';

/** Real: PostgreSQL with a role that owns nothing, Redis with the user of `docker/redis-users.acl`. */

const redis = (await startRedisProcess()) as RedisProcess;

describeWithOwnRedis(redis, 'an instance with the rights that it needs and no more', () => {
  const role = `drawbridge_app_${process.pid}_${process.env['JEST_WORKER_ID']}`;
  let owner: pg.Client;
  let app: TestApp;
  let url: string;
  let redisUrl: string;

  beforeAll(async () => {
    await resetStores();
    owner = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL'] });
    await owner.connect();
    await owner.query(`create role ${role} login password 'app'`);
    await grantToApp(owner, role);
    await grantToApp(owner, role); // as after each migration
    url = as(process.env['TEST_DATABASE_URL']!, role, 'app');

    const [, line] = /^user (drawbridge .*)$/m.exec(readFileSync(resolve('docker/redis-users.acl'), 'utf8'))!;
    await redis.command(
      'ACL',
      'SETUSER',
      ...line!.replace('~drawbridge:*', `~${PRODUCT.redisPrefix}*`).split(' '),
    );
    redisUrl = as(redis.url, 'drawbridge', 'drawbridge');
    app = await startApp({
      env: { DATABASE_URL: url, REDIS_URL: redisUrl, CACHE_BUDGET: '1s', RATE_LIMITS: 'on' },
    });
    app.get(Jobs).stop('mail-outbox');
  });
  afterAll(async () => {
    await app.close();
    await owner.query(`drop owned by ${role}`);
    await owner.query(`drop role ${role}`);
    await owner.end();
    await redis.stop();
  });

  it('boots, and finds its migrations applied', async () => {
    await expect(requireMigrated(url)).resolves.toBeUndefined();
    expect((await app.client().get('/health/ready')).status).toBe(200);
  });

  it('does all work of an instance [OPS-03]', async () => {
    const alice = await loggedIn(app, ALICE);
    const admin = await loggedIn(app, ADMIN);
    await untilCached(app, alice);
    const statuses = [
      (
        await app
          .client()
          .post('/v1/auth/register', { email: 'new@example.com', password: 'a long passphrase of mine' })
      ).status,
      (await alice.refresh()).status,
      (await alice.reauthenticate({ password: PASSWORD })).status,
      (await alice.pay('once')).status,
      (await alice.patch('/v1/users/me', { displayName: 'A.' })).status,
      (await alice.get('/v1/devices')).status,
      (await admin.put(`/v1/admin/users/${BOB.id}/roles`, { roles: ['user'] })).status,
      (await admin.post(`/v1/admin/users/${BOB.id}/ban`, { reason: 'x' })).status,
      (await admin.delete(`/v1/admin/users/${BOB.id}/ban`)).status,
      (await admin.delete(`/v1/admin/users/${ALICE.id}/sessions`)).status,
      (await admin.get('/v1/admin/audit-events')).status,
    ];
    expect(statuses).toEqual([202, 200, 200, 201, 200, 200, 200, 200, 200, 200, 200]);
    expect(await alice.get('/v1/sessions/current')).toMatchObject({ status: 401, body: { reason: 'admin' } });
    expect((await admin.delete('/v1/admin/sessions', { body: { confirm: 'everyone' } })).status).toBe(200);
    app.clock.advance(100 * 86_400_000);
    await loggedIn(app, ALICE);
    await app.get(SessionCleanupJob).run();
    expect(await app.query(`select from sessions where status = 'ended'`)).toEqual([]);
    expect(await app.get(MailOutbox).run()).toBeGreaterThan(0);
    expect(await app.get(AuditChainJob).link()).toBeGreaterThan(0);
  });

  it('stores its rate limits in Redis', async () => {
    const keys = () => redis.command<string[]>('KEYS', `${PRODUCT.redisPrefix}*`);
    await redis.command('FLUSHALL');
    const guess = () => app.client().login(BOB.email, 'not his password at all');
    expect((await guess()).status).toBe(401);
    const [guesses] = (await keys()).filter((key) => key.startsWith(`${PRODUCT.redisPrefix}guesses:`));
    expect(await redis.command('HGET', guesses!, 'failures')).toBe('1');
    expect((await app.client().login(BOB.email, PASSWORD)).status).toBe(200);
    expect(await redis.command('HGET', guesses!, 'failures')).toBeNull();
    expect((await keys()).filter((key) => key.startsWith(`${PRODUCT.redisPrefix}limit:`))).not.toEqual([]);
  });

  it.each([
    `update audit_events set type = 'x'`,
    'delete from audit_events',
    'truncate audit_events',
    'delete from audit_chain',
    `set ${PRODUCT.auditRetention} = 'on'; delete from audit_events`,
    'alter table audit_events disable trigger all',
    'drop trigger audit_events_are_append_only on audit_events',
    'set session_replication_role = replica',
    'alter table users add column backdoor text',
    'create table elsewhere (id int)',
    'create or replace function refuse_change_of_audit() returns trigger language plpgsql as $$ begin return null; end $$',
    'delete from migrations',
    `grant all on audit_events to public`,
    `copy users to program 'cat'`,
  ])('may not: %s [LOG-05, OPS-03]', async (sql) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    // GRANT without the right to do so is a warning without effect; the next query checks that.
    const outcome = await client.query(sql).then(
      () => 'done',
      ({ code }) => code,
    );
    await client.end();
    if (sql.startsWith('grant')) {
      const { rows } = await owner.query(
        `select has_table_privilege('${role}', 'audit_events', 'delete') as may`,
      );
      expect(rows).toEqual([{ may: false }]);
    } else expect(outcome).toBe('42501'); // insufficient_privilege
  });

  it.each([
    'KEYS *',
    'FLUSHALL',
    'CONFIG GET *',
    'ACL LIST',
    'SCRIPT FLUSH',
    'SHUTDOWN',
    'GET another:else',
    'SUBSCRIBE x',
    'MONITOR',
  ])('may not, in Redis: %s [OPS-03]', async (command) => {
    const client = createClient({ url: redisUrl, RESP: 2 });
    client.on('error', () => undefined);
    await client.connect();
    await expect(client.sendCommand(command.split(' '))).rejects.toThrow(/NOPERM/);
    client.destroy();
  });
});

function as(url: string, username: string, password: string): string {
  return Object.assign(new URL(url), { username, password }).href;
}
