import { afterAll, afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import type { Clock } from '../../src/platform/runtime/clock.js';
import { RevocationDispatcher } from '../../src/sessions/revocation/revocation-dispatcher.js';
import { SessionCache } from '../../src/sessions/check/session-cache.js';
import { ADMIN, ALICE, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { createUsers, expectBothTiers, loggedIn, type Person } from '../../test/support/test-users.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { eventually, Gate } from '../../test/support/waiting.js';

/** Real: two instances over HTTP, PostgreSQL, Redis. Forced: the progress of a sweep at the moment of a read. */

const CROWD = 1_200;
const ENDED = { status: 401, body: { code: 'auth.session_ended', reason: 'admin_everyone' } };

describeWithRedis('a global logout', () => {
  let a: TestApp;
  let b: TestApp;
  let admin: Person;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
    [a, b] = [await startApp(), await startApp()];
  });
  afterAll(() => Promise.all([a.close(), b.close()]));
  beforeEach(async () => {
    await createUsers(a, CROWD);
    [admin, alice] = [await loggedIn(a, ADMIN), await loggedIn(b, ALICE)];
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  const endEveryone = () => admin.delete('/v1/admin/sessions', { body: { confirm: 'everyone' } });
  const live = async () =>
    (await a.query<{ count: number }>(`select count(*)::int from sessions where status = 'active'`))[0]!
      .count;

  it('takes effect at once, and reports how many sessions are swept', async () => {
    const total = await live();
    const [reached, goOn] = [new Gate(), new Gate()];
    const cache = a.get(SessionCache);
    const bury = cache.writeTombstones.bind(cache);
    jest.spyOn(cache, 'writeTombstones').mockImplementation(async (ids, ended) => {
      await bury(ids, ended);
      if ((await live()) === total) return; // the first batch may commit
      reached.open();
      await goOn.opened;
    });
    const asked = endEveryone();
    await reached.opened;
    await eventually(async () => expect(await alice.get('/v1/sessions/current')).toMatchObject(ENDED));
    await eventually(() => expectBothTiers(alice, ENDED));
    const { status, body } = await asked;
    expect(status).toBe(202);
    expect(body).toMatchObject({ status: 'pending', endedSessions: 100, remainingSessions: total - 100 });
    const again = await loggedIn(b, ADMIN);
    const progress = () => again.get(`/v1/admin/revocations/${body.seq}`);
    expect((await progress()).body).toMatchObject({ endedSessions: 100, remainingSessions: total - 100 });
    goOn.open();
    await eventually(async () => expect((await progress()).body.status).toBe('applied'));
    const done = (await progress()).body;
    expect(done.endedSessions).toBe(total);
    expect(done).not.toHaveProperty('remainingSessions');
  });

  it('is finished by the dispatcher of another instance when the first one died after its first batch', async () => {
    const total = await live();
    jest.spyOn(a.get(SessionCache), 'writeTombstones').mockRejectedValue(new Error('killed'));
    jest.spyOn(a.get(RevocationDispatcher), 'dispatch').mockResolvedValue();
    const { body } = await endEveryone();
    expect(body).toMatchObject({ status: 'pending', endedSessions: 0, remainingSessions: total });
    await eventually(async () => expect(await live()).toBe(0));
    const again = await loggedIn(b, ADMIN);
    await eventually(async () =>
      expect((await again.get(`/v1/admin/revocations/${body.seq}`)).body).toMatchObject({
        status: 'applied',
        endedSessions: total,
      }),
    );
  });

  it('is answered as fast with millions of sessions, because the count stops at the limit of a receipt', async () => {
    const total = await live();
    for (const app of [a, b]) jest.spyOn(app.get(RevocationDispatcher), 'dispatch').mockResolvedValue();
    jest.spyOn(a.get(SessionCache), 'writeTombstones').mockRejectedValueOnce(new Error('away'));
    const count = jest.spyOn(a.get(RevocationDispatcher), 'countLeft');
    expect((await endEveryone()).body.remainingSessions).toBe(total);
    const [revocation, most] = count.mock.calls[0]!;
    expect(most).toBe(10_001);
    expect(await a.get(RevocationDispatcher).countLeft(revocation, total - 1)).toBe(total - 1);
    jest.restoreAllMocks();
    await eventually(async () => expect(await live()).toBe(0));
  });

  it.each([
    ['of twice the duration of a batch', 7, 14],
    ['of a second at most after a slow batch', 3_000, 1_000],
  ])(
    'is swept with pauses %s, within its turn, so that all instances pause together',
    async (_, took, rest) => {
      let now = 0;
      const rests: number[] = [];
      const held: boolean[] = [];
      const relay = a.get(RevocationDispatcher) as unknown as {
        clock: Clock;
        pause(ms: number): Promise<void>;
      };
      // A clock of its own: other code reads the time as well, at any moment.
      const clock = Object.assign(Object.create(relay.clock) as Clock, { monotonic: () => (now += took) });
      jest.replaceProperty(relay, 'clock', clock);
      jest.spyOn(relay, 'pause').mockImplementation(async (ms) => {
        rests.push(ms);
        const free = await a.query(
          `select from revocations where seq = (select max(seq) from revocations) for update skip locked`,
        );
        held.push(free.length === 0);
      });
      for (const app of [a, b]) jest.spyOn(app.get(RevocationDispatcher), 'dispatch').mockResolvedValue();
      await endEveryone();
      await eventually(async () => expect(await live()).toBe(0));
      expect(rests.length).toBeGreaterThanOrEqual(CROWD / 100);
      expect(new Set(rests)).toEqual(new Set([rest]));
      expect(new Set(held)).toEqual(new Set([true]));
    },
  );

  it('is swept by two instances at once, and each session is ended and counted once', async () => {
    const total = await live();
    jest.spyOn(a.get(SessionCache), 'writeTombstones').mockRejectedValueOnce(new Error('away'));
    const { body } = await endEveryone();
    const relays = [a, b].map((app) => app.get(RevocationDispatcher));
    const buried = [a, b].map((app) => jest.spyOn(app.get(SessionCache), 'writeTombstones').mockClear());
    await a.query(`update revocations set created_at = created_at - interval '3 s' where seq = $1`, [
      body.seq,
    ]);
    await Promise.all(relays.map((relay) => relay.dispatch()));
    const ids = buried.flatMap((spy) => spy.mock.calls.flatMap(([sessionIds]) => sessionIds));
    expect(ids).toHaveLength(total);
    expect(new Set(ids).size).toBe(total);
    const [row] = await a.query('select ended_sessions from revocations where seq = $1', [body.seq]);
    expect(row).toEqual({ ended_sessions: total });
  });
});
