import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type pg from 'pg';
import { EntityManager } from 'typeorm';
import { random } from '../../src/platform/runtime/random.js';
import { CHECK_POOL } from '../../src/platform/persistence/database.module.js';
import { SessionCleanupJob } from '../../src/sessions/cleanup/session-cleanup.job.js';
import { LastSeenService } from '../../src/sessions/check/last-seen.service.js';
import { ADMIN, ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { TestClock } from '../../test/support/clock.js';
import { loggedIn, type Person } from '../../test/support/test-users.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { connect, disconnect } from '../../test/support/waiting.js';

/** Real: PostgreSQL, Redis, the application over HTTP. Simulated: the time. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The minimal lag of last_seen_at: LAST_SEEN_RESOLUTION and one flush. */
const LAG = 70 * SECOND;

const byId = (one: { id: string }, other: { id: string }) => (one.id < other.id ? -1 : 1);

interface Row {
  status: string;
  end_reason: string | null;
  ended_at: Date | null;
}

describeWithRedis('housekeeping', () => {
  let clock: TestClock;
  let a: TestApp;
  let b: TestApp;

  beforeAll(resetStores);
  beforeEach(async () => {
    clock = new TestClock();
    [a, b] = [await startApp({ clock }), await startApp({ clock })];
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await disconnect();
    await Promise.all([a.close(), b.close()]);
  });
  afterAll(resetStores);

  const housekeeping = (app: TestApp) => app.get(SessionCleanupJob);
  /** Runs code before the statement that locks the expired sessions. @returns the ids that it locks, page by page */
  const beforeHold = (work: () => Promise<unknown>): unknown[] => {
    const held: unknown[] = [];
    const query = EntityManager.prototype.query;
    jest.spyOn(EntityManager.prototype, 'query').mockImplementation(async function (
      this: EntityManager,
      sql: string,
      parameters: unknown[] = [],
    ) {
      if (sql.includes('for update of s skip locked')) {
        held.push(parameters[0]);
        await work();
      }
      return query.call(this, sql, parameters);
    } as typeof query);
    return held;
  };
  const rowOf = async ({ id }: Pick<Person, 'id'>) =>
    (await a.query<Row>('select status, end_reason, ended_at from sessions where id = $1', [id]))[0];

  it('marks an unused session as idle, with the time at which it ended', async () => {
    const alice = await loggedIn(a, ALICE);
    const { createdAt } = (await alice.get('/v1/sessions/current')).body;
    clock.advance(30 * DAY + LAG - MINUTE);
    await housekeeping(a).run();
    expect(await rowOf(alice)).toMatchObject({ status: 'active' });
    clock.advance(2 * MINUTE);
    await housekeeping(a).run();
    const row = await rowOf(alice);
    expect(row).toMatchObject({ status: 'ended', end_reason: 'idle' });
    expect(row!.ended_at!.getTime()).toBeGreaterThanOrEqual(Date.parse(createdAt) + 30 * DAY);
    expect(row!.ended_at!.getTime()).toBeLessThan(Date.parse(createdAt) + 30 * DAY + MINUTE);
    const events = await a.query(
      `select details from audit_events where type = 'session_expired' and session_id = $1`,
      [alice.id],
    );
    expect(events).toEqual([{ details: { reason: 'idle' } }]);
    expect(await alice.refresh()).toMatchObject({ status: 401, body: { reason: 'idle' } });
  });

  it('marks a session as expired that was used until its last day', async () => {
    const bob = await loggedIn(a, BOB);
    for (let day = 0; day < 89; day += 20) {
      clock.advance(20 * DAY);
      if (day < 80) expect((await bob.refresh()).status).toBe(200);
    }
    await housekeeping(a).run();
    expect(await rowOf(bob)).toMatchObject({ status: 'ended', end_reason: 'expired' });
  });

  it('applies their shorter times to admins, and leaves other users unchanged', async () => {
    const [admin, alice] = [await loggedIn(a, ADMIN), await loggedIn(a, ALICE)];
    clock.advance(HOUR + LAG + SECOND);
    expect(await housekeeping(a).endAged()).toBe(1);
    expect(await rowOf(admin)).toMatchObject({ status: 'ended', end_reason: 'idle' });
    expect(await rowOf(alice)).toMatchObject({ status: 'active' });
  });

  it('ends no session with recent use, even if that use is not written yet', async () => {
    const admin = await loggedIn(a, ADMIN);
    clock.advance(HOUR - SECOND);
    a.get(LastSeenService).touch(admin.id);
    clock.advance(2 * SECOND);
    await housekeeping(a).run();
    await a.get(LastSeenService).flush();
    expect(await rowOf(admin)).toMatchObject({ status: 'active' });
    expect((await admin.refresh()).status).toBe(200);
  });

  it('writes a use without waiting for row locks, so that no deadlock is possible', async () => {
    const [held, free] = [await loggedIn(a, ALICE), await loggedIn(a, BOB)];
    const before = await rowOf(held);
    const holder = await connect();
    await holder.query('begin');
    await holder.query('select from sessions where id = $1 for update', [held.id]);
    clock.advance(2 * MINUTE);
    const since = new Date(clock.now());
    const seen = a.get(LastSeenService);
    for (const { id } of [held, free]) seen.touch(id);
    await seen.flush();
    const marks = () =>
      a.query('select id from sessions where id = any($1) and last_seen_at >= $2 order by id', [
        [held.id, free.id],
        since,
      ]);
    expect(await marks()).toEqual([{ id: free.id }]);
    await holder.query('commit');
    seen.touch(held.id);
    await seen.flush();
    expect(await marks()).toEqual([held, free].map(({ id }) => ({ id })).toSorted(byId));
    expect(await rowOf(held)).toEqual(before);
  });

  it('writes a backlog of uses in parts after an outage, and none twice', async () => {
    const people = [await loggedIn(a, ALICE), await loggedIn(a, BOB)];
    clock.advance(2 * MINUTE);
    const since = new Date(clock.now());
    const seen = a.get(LastSeenService);
    for (const { id } of people) seen.touch(id);
    for (let count = 0; count < 4_500; count += 1) seen.touch(random.uuid());
    const asked = jest.spyOn(a.get<pg.Pool>(CHECK_POOL), 'query');
    const sizes = () =>
      asked.mock.calls.map((call) => (call as unknown as [string, unknown[][]])[1][0]!.length);
    asked.mockImplementationOnce(async () => {
      throw new Error('away');
    });
    await expect(seen.flush()).rejects.toThrow('away');
    expect(sizes()).toEqual([2_000]);
    await seen.flush();
    expect(sizes()).toEqual([2_000, 2_000, 2_000, 502]);
    await seen.flush();
    expect(sizes()).toHaveLength(4);
    const written = 'select id from sessions where id = any($1) and last_seen_at >= $2';
    expect(await a.query(written, [people.map(({ id }) => id), since])).toHaveLength(2);
  });

  it('does not even lock sessions that would be too old only for an admin', async () => {
    const [admin, alice] = [await loggedIn(a, ADMIN), await loggedIn(a, ALICE)];
    clock.advance(DAY);
    const held = beforeHold(async () => undefined);
    await housekeeping(a).endAged();
    expect(held.flat()).toContain(admin.id);
    expect(held.flat()).not.toContain(alice.id);
    await housekeeping(a).endAged();
    expect(held).toHaveLength(1);
  });

  it('finds the few holders of privileged roles by an index, as the check for the last holder does', async () => {
    const asked: [string, unknown[]][] = [];
    const query = EntityManager.prototype.query;
    jest.spyOn(EntityManager.prototype, 'query').mockImplementation(async function (
      this: EntityManager,
      sql: string,
      parameters: unknown[] = [],
    ) {
      if (/roles (&&|@>)/.test(sql)) asked.push([sql, parameters]);
      return query.call(this, sql, parameters);
    } as typeof query);
    await housekeeping(a).endAged();
    const admin = await loggedIn(a, ADMIN);
    expect((await admin.put(`/v1/admin/users/${ADMIN.id}/roles`, { roles: ['user'] })).status).toBe(409);
    expect((await admin.post('/v1/auth/logout')).status).toBe(204);
    expect(asked).toHaveLength(2);
    const outside = await connect();
    await outside.query('begin');
    await outside.query(
      `insert into users (id, email, password_hash, created_at)
       select gen_random_uuid(), gen_random_uuid() || '@indexed.example', 'x', now() from generate_series(1, 20000)`,
    );
    await outside.query('analyze users');
    for (const [sql, parameters] of asked) {
      const plan = JSON.stringify((await outside.query(`explain ${sql}`, parameters)).rows);
      expect(plan).toContain('Bitmap Index Scan on users_with_roles');
      expect(plan).not.toContain('Seq Scan on users');
    }
    await outside.query('rollback');
  });

  it('judges a session as it is under the lock, so that a use that was written meanwhile counts', async () => {
    const admin = await loggedIn(a, ADMIN);
    clock.advance(HOUR + LAG + SECOND);
    beforeHold(() =>
      b.query('update sessions set last_seen_at = $2 where id = $1', [admin.id, new Date(clock.now())]),
    );
    expect(await housekeeping(a).endAged()).toBe(0);
    expect(await rowOf(admin)).toMatchObject({ status: 'active' });
  });

  it('ends each session once with several instances at once, however many sessions there are', async () => {
    const count = 12_000;
    await a.query(
      `with device as (
         insert into devices (id, user_id, token_digest, name, first_seen_at, last_seen_at)
         values (gen_random_uuid(), $1, sha256('many'), 'x', now(), now()) returning id)
       insert into sessions (id, user_id, device_id, transport, created_at, last_seen_at, authenticated_at, refresh_nonce, rotation)
       select ('01000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $1, device.id, 'cookie',
              now() - interval '31 days', now() - interval '31 days', now(), '\\x00112233445566778899aabbccddeeff', '{}'
       from device, generate_series(1, ${count}) n`,
      [BOB.id],
    );
    const ended = await Promise.all([a, b, a].map((app) => housekeeping(app).endAged()));
    expect(ended[0]! + ended[1]! + ended[2]!).toBe(count);
    const [events] = await a.query(
      `select count(*)::int, count(distinct session_id)::int as sessions from audit_events
       where type = 'session_expired' and session_id::text like '01000000-%'`,
    );
    expect(events).toEqual({ count, sessions: count });
  });

  it('skips locked rows: a session that is being refreshed is judged in the next run', async () => {
    const [admin, alice] = [await loggedIn(a, ADMIN), await loggedIn(a, ALICE)];
    const outside = await connect();
    await outside.query('begin');
    await outside.query('select from sessions where id = $1 for no key update', [admin.id]);
    clock.advance(31 * DAY);
    await housekeeping(a).endAged();
    expect(await rowOf(alice)).toMatchObject({ status: 'ended' });
    expect(await rowOf(admin)).toMatchObject({ status: 'active' });
    await outside.query('rollback');
    await housekeeping(a).endAged();
    expect(await rowOf(admin)).toMatchObject({ status: 'ended' });
  });

  describe('after SESSION_RETENTION', () => {
    it('removes ended sessions and their revocations, and no others', async () => {
      const [admin, alice, bob] = [
        await loggedIn(a, ADMIN),
        await loggedIn(a, ALICE),
        await loggedIn(a, BOB),
      ];
      const { seq } = (await admin.delete(`/v1/admin/sessions/${alice.id}`)).body;
      clock.advance(30 * DAY - MINUTE);
      await housekeeping(a).removeOld();
      expect(await rowOf(alice)).toBeDefined();
      clock.advance(2 * MINUTE);
      const again = await loggedIn(a, ADMIN);
      expect((await again.get(`/v1/admin/revocations/${seq}`)).status).toBe(200);
      expect(await housekeeping(a).removeOld()).toBeGreaterThanOrEqual(2);
      expect(await rowOf(alice)).toBeUndefined();
      expect(await rowOf(bob)).toMatchObject({ status: 'active' });
      expect((await again.get(`/v1/admin/revocations/${seq}`)).status).toBe(404);
      expect((await alice.refresh()).body.code).toBe('auth.invalid_token');
    });

    it('removes the devices of a deleted account with the last of its sessions, and no others', async () => {
      const email = 'carol@example.com';
      await a.client().post('/v1/auth/register', { email, password: PASSWORD });
      const [bob, carol, unused] = [
        await loggedIn(a, BOB),
        await loggedIn(a, { email }),
        await loggedIn(a, { email }),
      ];
      const { id: userId } = (await carol.get('/v1/users/me')).body;
      const devicesOf = (user: string) => a.query('select id from devices where user_id = $1', [user]);
      await a.query('delete from sessions where id = any($1)', [[unused.id, bob.id]]);
      const bobs = await devicesOf(BOB.id);
      expect(bobs).not.toEqual([]);
      await housekeeping(a).removeOld();
      expect(await devicesOf(userId)).toHaveLength(2);
      expect((await carol.delete('/v1/users/me')).status).toBe(204);
      await housekeeping(a).removeOld();
      expect(await devicesOf(userId)).toHaveLength(1);
      clock.advance(30 * DAY + MINUTE);
      await housekeeping(a).removeOld();
      expect(await devicesOf(userId)).toEqual([]);
      expect(await devicesOf(BOB.id)).toEqual(bobs);
    });

    it('keeps a revocation that no cache has acknowledged', async () => {
      const [{ seq }] = (await a.query<{ seq: string }>(
        `insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at)
         values ('session', '{}', 'admin', 0, now() - interval '40 days', now() - interval '40 days') returning seq`,
      )) as [{ seq: string }];
      await housekeeping(a).removeOld();
      const left = await a.query('select from revocations where seq = $1', [seq]);
      expect(left).toHaveLength(1);
      await a.query('delete from revocations where seq = $1', [seq]);
    });
  });
});
