import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type pg from 'pg';
import { DenialList } from '../../src/sessions/revocation/denial-list.js';
import { RevocationCursor } from '../../src/sessions/revocation/revocation-cursor.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { SteadyClock } from '../../test/support/clock.js';
import { ADMIN, ALICE, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { createUsers, loggedIn, type Person } from '../../test/support/test-users.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { connect, disconnect, eventually, Gate } from '../../test/support/waiting.js';

/**
 * Real: PostgreSQL, Redis, instances over HTTP. The tests compare what the feed has read with what it claims to
 * have read.
 */

const ACCESS = '/v1/auth/whoami';
const UNAVAILABLE = { status: 503, body: { code: 'auth.unavailable' } };

describeWithRedis('the revocation feed', () => {
  let a: TestApp;

  beforeAll(async () => {
    await resetStores();
    // Without polls the feed would count as blind after 5 s, in which a busy machine makes only a few requests.
    a = await startApp({ clock: new SteadyClock() });
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await disconnect();
  });
  afterAll(() => a.close());

  const feedOf = (app: TestApp) =>
    app.get(RevocationSubscriber) as unknown as {
      client: pg.Client;
      cursor: RevocationCursor;
      stop(): void;
      catchUp(): Promise<void>;
      reach(seq: number): Promise<void>;
    };
  const endOne = async () => {
    const person = await loggedIn(a, ALICE);
    const order = { reason: 'admin', actorId: null, context: null } as const;
    return (await a.get(RevocationService).endSession(person.id, order))!.seq;
  };
  /** Revokes sessions that never existed, `perTransaction` in each transaction. */
  const insertMany = async (count: number, perTransaction: number) => {
    for (let done = 0; done < count; done += perTransaction) {
      await a.query(
        `insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at, applied_at)
         select 'session', array[gen_random_uuid()], 'admin', 1, now(), now() + interval '16 min', now()
         from generate_series(1, $1)`,
        [perTransaction],
      );
    }
  };

  it('A3: a boot reads all revocations page by page, even if one transaction made more than a page', async () => {
    await insertMany(12_000, 12_000);
    await insertMany(4_000, 500);
    const c = await startApp();
    const [live] = await a.query<{ count: number }>(
      `select count(distinct subjects[1])::int from revocations where kind = 'session' and expires_at > clock_timestamp()`,
    );
    expect(c.get(DenialList).size).toBeGreaterThanOrEqual(live!.count);
    expect(live!.count).toBeGreaterThanOrEqual(16_000);
    await c.close();
  });

  it('A3: a boot finds its start without a scan of the revocations of a month', async () => {
    await a.query(
      `insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at, applied_at)
       select 'session', array[gen_random_uuid()], 'admin', 1, at, at + interval '16 min', at
       from generate_series(now() - interval '30 days', now() - interval '1 day', interval '1 minute') at`,
    );
    await a.query('analyze revocations');
    const client = await connect();
    const asked = jest.spyOn(client, 'query');
    await new RevocationCursor().begin(client);
    const [[start]] = asked.mock.calls as unknown as [[string]];
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain ${start}`);
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).not.toContain('Seq Scan on revocations');
  });

  it('A3: a start misses nothing that commits right after it, and is older than all earlier commits', async () => {
    const subject = '0192d5a0-0000-7000-8000-00000000000a';
    const outside = await connect();
    await outside.query('begin');
    await outside.query(
      `insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at, applied_at)
       values ('session', array[$1::uuid], 'admin', 1, now(), now() + interval '16 min', now())`,
      [subject],
    );
    await a.query('delete from revocations');
    await endOne();
    const feed = feedOf(a);
    const begin = feed.cursor.begin.bind(feed.cursor);
    jest.spyOn(feed.cursor, 'begin').mockImplementation(async (client) => {
      await begin(client);
      await outside.query('commit');
    });
    await feed.client.end();
    await eventually(() => feed.catchUp());
    expect(a.get(DenialList).endOf({ sessionId: subject, userId: ALICE.id })).not.toBeNull();
  });

  it('A3: a boot in the middle of 1,000 revocations misses none of them', async () => {
    await createUsers(a, 1_000);
    const sessions = await a.query<{ id: string; userId: string }>(
      `select s.id, user_id as "userId" from sessions s join users u on u.id = user_id
       where u.email like '%@many.example' and s.status = 'active'`,
    );
    const order = { reason: 'admin', actorId: null, context: null } as const;
    const ended: typeof sessions = [];
    const waiting = [...sessions];
    const [third, done] = [new Gate(), new Gate()];
    const worker = async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) {
        await a.get(RevocationService).endSession(next.id, order);
        if (ended.push(next) === Math.floor(sessions.length / 3)) third.open();
      }
    };
    void Promise.all(Array.from({ length: 8 }, worker)).then(done.open);
    await third.opened;
    const before = [...ended];
    const c = await startApp();
    const denied = ({ id, userId }: { id: string; userId: string }) =>
      c.get(DenialList).endOf({ sessionId: id, userId })?.reason === 'admin';
    expect(before.filter((session) => !denied(session))).toEqual([]);
    const duringBoot = ended.length - before.length;
    await done.opened;
    await eventually(() => expect(sessions.filter((session) => !denied(session))).toEqual([]));
    expect(duringBoot).toBeGreaterThan(0);
    await c.close();
  });

  describe('X-Min-Revocation-Seq', () => {
    let admin: Person;
    beforeEach(async () => void (admin = await loggedIn(a, ADMIN)));
    const show = (seq: number) => admin.get(ACCESS, { headers: { 'x-min-revocation-seq': String(seq) } });

    it('causes no look-up for a caller who would be refused anyway', async () => {
      const reached = jest.spyOn(feedOf(a), 'reach');
      const headers = { 'x-min-revocation-seq': '999999999' };
      const anonymous = await a.client().get(ACCESS, { headers });
      expect(anonymous).toMatchObject({ status: 401, body: { code: 'auth.unauthenticated' } });
      expect(reached).not.toHaveBeenCalled();
      reached.mockRestore();
    });

    it('of a revocation that every poll has seen by now is answered without I/O', async () => {
      const seq = await endOne();
      const feed = feedOf(a);
      feed.stop(); // from here on it polls on demand only
      feed.client.removeAllListeners('notification');
      // Again while a poll has yet to see it. A request that always polls does so each time.
      await eventually(async () => {
        await feed.catchUp();
        const asked = jest.spyOn(feed, 'catchUp');
        const statuses = [(await show(seq)).status, (await show(0)).status];
        const polls = asked.mock.calls.length;
        asked.mockRestore(); // forgets the calls
        expect({ statuses, polls }).toEqual({ statuses: [200, 200], polls: 0 });
      });
    });

    it('is never taken as seen while a transaction with a lower number is open', async () => {
      const outside = await connect();
      await outside.query('begin');
      const { rows } = await outside.query<{ seq: string }>(
        `insert into revocations (kind, subjects, reason, ended_sessions, created_at, expires_at, applied_at)
         values ('session', '{}', 'admin', 0, now(), now() + interval '16 min', now()) returning seq`,
      );
      const open = Number(rows[0]!.seq);
      expect(await endOne()).toBeGreaterThan(open);
      const feed = feedOf(a);
      for (let round = 0; round < 5; round++) await feed.catchUp();
      const asked = jest.spyOn(feed, 'catchUp');
      await feed.reach(open);
      expect(asked).toHaveBeenCalledTimes(1);
      await outside.query('commit');
    });

    it('of a future revocation gets 503', async () => {
      expect(await show((await endOne()) + 1_000)).toMatchObject(UNAVAILABLE);
      expect(await show(999_999_999_999_999)).toMatchObject(UNAVAILABLE);
    });
  });
});
