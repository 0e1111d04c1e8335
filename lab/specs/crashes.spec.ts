import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ADMIN, ALICE, PASSWORD, resetStores } from '../../test/support/app.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import { startInstance, type Instance } from '../../test/support/instance.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { eventually, untilBlockedBy } from '../../test/support/waiting.js';

/**
 * Real: instances as processes of their own over HTTP, PostgreSQL, Redis, SIGKILL. Between the first instance and
 * Redis a network that can stop.
 */

interface Reply {
  status: number;
  body: any;
}

describeWithRedis('a process that is killed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-crash-'));
  let proxy: FaultProxy;
  let a: Instance;
  let b: Instance;
  let database: pg.Client;

  beforeAll(async () => {
    database = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL'] });
    await database.connect();
  });
  afterAll(async () => {
    await database.end();
    rmSync(folder, { recursive: true });
  });
  beforeEach(async () => {
    await resetStores();
    proxy = await FaultProxy.before(process.env['TEST_REDIS_URL']!);
    const env = { DATABASE_URL: process.env['TEST_DATABASE_URL']!, DATA_DIR: folder, LOG_LEVEL: 'warn' };
    a = await startInstance({ ...env, REDIS_URL: proxy.url });
    b = await startInstance({ ...env, REDIS_URL: process.env['TEST_REDIS_URL']! });
  });
  afterEach(async () => {
    await Promise.all([a.stop('SIGKILL'), b.stop()]);
    await proxy.close();
  });

  const ask = async (
    at: Instance,
    method: string,
    path: string,
    token?: string,
    body?: object,
  ): Promise<Reply> => {
    const response = await fetch(at.url + path, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json().catch(() => undefined) };
  };
  const login = async (at: Instance, { email }: { email: string }) => {
    const { body } = await ask(at, 'POST', '/v1/auth/login', undefined, {
      email,
      password: PASSWORD,
      transport: 'bearer',
    });
    return { token: body.accessToken as string, id: body.session.id as string };
  };
  const check = (at: Instance, { token }: { token: string }) => ask(at, 'GET', '/v1/sessions/current', token);
  const statusOf = async (id: string) =>
    (await database.query('select status from sessions where id = $1', [id])).rows[0].status;

  it('between commit and tombstone: PostgreSQL refuses the session, and another instance finishes the revocation', async () => {
    const [admin, alice] = [await login(a, ADMIN), await login(b, ALICE)];
    for (let round = 0; round < 3; round++) expect((await check(b, alice)).status).toBe(200); // cached by now
    proxy.stall();
    const receipt = ask(a, 'DELETE', `/v1/admin/sessions/${alice.id}`, admin.token).catch(() => 'no answer');
    await eventually(async () => expect(await statusOf(alice.id)).toBe('ended'));
    await a.stop('SIGKILL');
    expect(await receipt).toBe('no answer');

    const second = await login(b, ADMIN);
    const pending = async () =>
      (await database.query('select seq, applied_at from revocations order by seq')).rows as {
        seq: string;
        applied_at: Date | null;
      }[];
    const { seq } = (await pending())[0]!;
    await eventually(async () => {
      const { body } = await ask(b, 'GET', `/v1/admin/revocations/${seq}`, second.token);
      expect(body.status).toBe('applied');
    });
    const refused = { status: 401, body: { code: 'auth.session_ended', reason: 'admin' } };
    expect(await check(b, alice)).toMatchObject(refused);
    expect(await ask(b, 'GET', '/v1/auth/whoami', alice.token)).toMatchObject(refused);
    await eventually(async () => expect((await pending()).every(({ applied_at }) => applied_at)).toBe(true));
  });

  it('in the middle of a transaction: the transaction has no effect, and no request waits for its locks', async () => {
    const [admin, alice] = [await login(b, ADMIN), await login(a, ALICE)];
    const held = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL'] });
    await held.connect();
    await held.query('begin');
    await held.query('select from sessions where id = $1 for update', [alice.id]);
    const adminAtA = await login(a, ADMIN);
    const receipt = ask(a, 'DELETE', `/v1/admin/sessions/${alice.id}`, adminAtA.token).catch(
      () => 'no answer',
    );
    await untilBlockedBy(held);
    await a.stop('SIGKILL');
    expect(await receipt).toBe('no answer');
    await held.query('rollback');
    await held.end();
    // When its locks are free, the server process has either committed the transaction or rolled it back.
    const answer = await ask(b, 'DELETE', `/v1/admin/sessions/${alice.id}`, admin.token);
    expect(answer).toMatchObject({ status: 200, body: { status: 'applied' } });
    expect(await check(b, alice)).toMatchObject({ status: 401, body: { reason: 'admin' } });
    const { rows } = await database.query(
      `select count(*)::int from audit_events where session_id = $1 and type = 'session_ended'`,
      [alice.id],
    );
    expect(rows).toEqual([{ count: 1 }]);
  });
});
