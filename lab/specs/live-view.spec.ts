import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { DataSource } from 'typeorm';
import { InstanceReports } from '../../src/admin/live/instance-reports.js';
import { LiveReporter } from '../../src/admin/live/live-reporter.service.js';
import { LIVE_EVENTS, type Arrival, type LiveEvents } from '../../src/admin/live/live.schemas.js';
import { OpenConnections } from '../../src/auth/open-connections/open-connections.service.js';
import { InstanceMessages } from '../../src/platform/persistence/instance-messages.js';
import { PRODUCT } from '../../src/product.js';
import { countLiveSessions } from '../../src/sessions/live-sessions.repository.js';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { machineOf, type Machine } from '../../test/support/api-keys.js';
import { ADMIN, ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { SteadyClock } from '../../test/support/clock.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { listening, openStream, untilClosed, type OpenClient } from '../../test/support/streams.js';
import { createUser, createUsers, loggedIn, type TestUser } from '../../test/support/test-users.js';
import { connect, disconnect, eventually, Gate } from '../../test/support/waiting.js';

/**
 * Real: PostgreSQL, Redis, two instances, sockets. Simulated: the monotonic time, by which instances become blind and
 * silent, and by which they stop to report.
 */

const LIVE = '/v1/admin/live';
const FEED = '/v1/revocations/stream';
const CAUSE = { reason: 'admin', actorId: null, context: null } as const;

type Stream = Awaited<ReturnType<typeof openStream>>;

describeWithRedis('the live view of two instances', () => {
  let a: TestApp;
  let b: TestApp;
  let admin: TestUser;
  let machine: Machine;
  const open: OpenClient[] = [];

  beforeAll(async () => {
    await resetStores();
    a = await listening(await startApp({ clock: new SteadyClock() }));
    b = await listening(await startApp({ clock: new SteadyClock() }));
  });
  beforeEach(async () => {
    admin = await loggedIn(a, ADMIN);
    machine = await machineOf(a, admin, { name: 'invoices', scopes: ['revocations:read'] });
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const client of open.splice(0)) client.close();
    await eventually(() => expect(a.get(OpenConnections).size + b.get(OpenConnections).size).toBe(0));
    await b.get(RevocationSubscriber).catchUp();
    await stopReports();
    await disconnect();
  });
  afterAll(() => Promise.all([a.close(), b.close()]));

  const steady = ({ clock }: TestApp) => clock as SteadyClock;
  const idOf = (app: TestApp) => app.get(InstanceReports).id;
  const areReporting = () => [a, b].map((app) => app.get(LiveReporter).isReporting);
  /** Makes the time pass after which instances without a watcher report no more. */
  const stopReports = async () => {
    for (const app of [a, b]) steady(app).advanceSteadily(10_001);
    await eventually(() => expect(areReporting()).toEqual([false, false]));
    for (const app of [a, b]) await app.get(RevocationSubscriber).catchUp();
  };
  const kept = async (opening: Promise<Stream>): Promise<Stream> => {
    const stream = await opening;
    open.push(stream);
    return stream;
  };
  const watch = async (person: TestUser = admin) => {
    const stream = await kept(openStream(a, LIVE, person));
    expect(stream.status).toBe(200);
    return stream;
  };
  const follow = (app: TestApp) => kept(openStream(app, FEED, machine));
  const all = <Name extends keyof LiveEvents>({ events }: Stream, name: Name): LiveEvents[Name][] =>
    events.filter(({ event }) => event === name).map(({ data }) => JSON.parse(data) as LiveEvents[Name]);
  const instanceIn = (stream: Stream, app: TestApp) =>
    all(stream, 'instances')
      .at(-1)!
      .instances.find(({ id }) => id === idOf(app))!;
  const arrivalsIn = (stream: Stream, seq: number): Record<string, Arrival> =>
    Object.fromEntries(
      all(stream, 'arrivals')
        .flatMap(({ arrivals }) => arrivals)
        .filter((arrival) => arrival.seq === seq)
        .map((arrival) => [arrival.lane, arrival]),
    );
  const untilBothAreSeen = (stream: Stream) =>
    eventually(() => {
      expect(instanceIn(stream, a)).toMatchObject({ state: 'current' });
      expect(instanceIn(stream, b)).toMatchObject({ state: 'current' });
    });
  const endOne = async (app: TestApp) => {
    const person = await loggedIn(app, await createUser(app));
    const { seq } = (await app.get(RevocationService).endSession(person.id, CAUSE))!;
    return { person, seq };
  };

  it('shows a revocation that another instance made, and its delay at each instance', async () => {
    const stream = await watch();
    await untilBothAreSeen(stream);
    const before = Date.now();
    const { person, seq } = await endOne(b);
    await eventually(() => expect(Object.keys(arrivalsIn(stream, seq))).toHaveLength(2));
    const after = Date.now();
    const [seen] = all(stream, 'revocations').flatMap(({ revocations }) => revocations);
    expect(seen).toMatchObject({ seq, kind: 'session', reason: 'admin' });
    for (const app of [a, b]) {
      const { delayMs, errorMs } = arrivalsIn(stream, seq)[idOf(app)]!;
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThanOrEqual(after - before + errorMs);
      expect(errorMs).toBeGreaterThan(0);
    }
    expect(JSON.stringify(stream.events)).not.toContain(person.id);
  });

  it('measures the delay from the record of the revocation to its effect at the instance', async () => {
    const stream = await watch();
    await untilBothAreSeen(stream);
    const feed = b.get(RevocationSubscriber) as unknown as { poll(): Promise<void> };
    const [poll, gate] = [feed.poll.bind(feed), new Gate()];
    jest.spyOn(feed, 'poll').mockImplementation(() => gate.opened.then(poll));
    const { seq } = await endOne(a);
    await eventually(() => expect(arrivalsIn(stream, seq)).toHaveProperty(idOf(a)));
    const first = Date.now();
    await eventually(() => expect(Date.now() - first).toBeGreaterThan(200));
    expect(arrivalsIn(stream, seq)).not.toHaveProperty(idOf(b));
    gate.open();
    await eventually(() => expect(arrivalsIn(stream, seq)).toHaveProperty(idOf(b)));
    const { delayMs, errorMs } = arrivalsIn(stream, seq)[idOf(b)]!;
    expect(delayMs).toBeGreaterThan(200 - errorMs);
  });

  it('sends events as the document describes them', async () => {
    const stream = await watch();
    await endOne(b);
    await eventually(() => {
      const names = new Set(stream.events.map(({ event }) => event));
      expect([...names].sort()).toEqual(Object.keys(LIVE_EVENTS).sort());
    });
    for (const { event, data } of stream.events) {
      const parsed = LIVE_EVENTS[event as keyof LiveEvents].safeParse(JSON.parse(data));
      expect(parsed).toMatchObject({ success: true, data: JSON.parse(data) });
    }
  });

  describe('a verifier', () => {
    const followersAt = (stream: Stream, app: TestApp) => instanceIn(stream, app).followers;

    it('has a lane, named by its API key, as long as it follows the feed', async () => {
      const stream = await watch();
      await untilBothAreSeen(stream);
      const followers = [await follow(b), await follow(b)];
      await eventually(() => expect(followersAt(stream, b)).toHaveLength(2));
      expect(followersAt(stream, b)).toEqual([
        { id: expect.any(String), apiKeyId: machine.keyId, name: 'invoices' },
        { id: expect.any(String), apiKeyId: machine.keyId, name: 'invoices' },
      ]);
      const lanes = followersAt(stream, b).map(({ id }) => id);
      expect(new Set(lanes).size).toBe(2);
      const { seq } = await endOne(a);
      await eventually(() =>
        expect(Object.keys(arrivalsIn(stream, seq)).sort()).toEqual([...lanes, idOf(a), idOf(b)].sort()),
      );
      followers[0]!.close();
      await eventually(() => expect(followersAt(stream, b)).toHaveLength(1));
      expect(instanceIn(stream, b).followerCount).toBe(1);
    });

    it('has an arrival when the event is written to its connection, not while the event waits', async () => {
      const stream = await watch();
      await follow(b);
      await eventually(() => expect(followersAt(stream, b)).toHaveLength(1));
      const lane = followersAt(stream, b)[0]!.id;
      const [connection] = (b.get(OpenConnections) as unknown as { all: Set<{ check(): Promise<void> }> })
        .all;
      const [check, gate] = [connection!.check.bind(connection), new Gate()];
      jest.spyOn(connection!, 'check').mockImplementation(() => gate.opened.then(check));
      const { seq } = await endOne(a);
      await eventually(() => expect(arrivalsIn(stream, seq)).toHaveProperty(idOf(b)));
      expect(arrivalsIn(stream, seq)).not.toHaveProperty(lane);
      gate.open();
      await eventually(() => expect(arrivalsIn(stream, seq)).toHaveProperty(lane));
    });
  });

  it('marks an instance that is blind, until it can see again', async () => {
    const stream = await watch();
    await untilBothAreSeen(stream);
    const cut = jest
      .spyOn(b.get(RevocationSubscriber) as unknown as { poll(): Promise<void> }, 'poll')
      .mockRejectedValue(new Error('cut'));
    steady(b).advanceSteadily(6_000);
    await eventually(() => expect(instanceIn(stream, b)).toMatchObject({ state: 'blind' }));
    expect(instanceIn(stream, b).feedAgeMs).toBeGreaterThanOrEqual(6_000);
    expect(instanceIn(stream, a)).toMatchObject({ state: 'current' });
    cut.mockRestore();
    await b.get(RevocationSubscriber).catchUp();
    await eventually(() => expect(instanceIn(stream, b)).toMatchObject({ state: 'current' }));
  });

  it('marks an instance that has stopped as silent', async () => {
    const c = await listening(await startApp());
    const id = idOf(c);
    const stream = await watch();
    await eventually(() => expect(instanceIn(stream, c)).toMatchObject({ state: 'current' }));
    await c.close();
    steady(a).advanceSteadily(4_001);
    await a.get(RevocationSubscriber).catchUp();
    await eventually(() => {
      const states = all(stream, 'instances')
        .at(-1)!
        .instances.map((instance) => [instance.id, instance.state]);
      expect(states).toContainEqual([id, 'silent']);
      expect(states).toContainEqual([idOf(b), 'current']);
    });
  });

  it('counts logins, problems, session checks, connections and live sessions', async () => {
    const stream = await watch();
    await untilBothAreSeen(stream);
    const counts = (app: TestApp) => instanceIn(stream, app).counters;
    const before = counts(b);
    const wrong = 'auth.invalid_credentials';
    const alice = b.client();
    expect((await alice.login(ALICE.email, 'not the password')).status).toBe(401);
    expect((await alice.login(ALICE.email, PASSWORD, { transport: 'bearer' })).status).toBe(200);
    expect((await alice.get('/v1/sessions/current')).status).toBe(200);
    await eventually(() =>
      expect(counts(b)).toMatchObject({
        logins: before.logins + 1,
        problems: { [wrong]: (before.problems[wrong] ?? 0) + 1 },
      }),
    );
    const checks = ({ cache, postgres }: LiveEvents['instances']['instances'][0]['counters']['checks']) =>
      cache + postgres;
    expect(checks(counts(b).checks)).toBe(checks(before.checks) + 1);
    expect(instanceIn(stream, a)).toMatchObject({ connections: 1 });
    const [{ live }] = (await a.query(
      `select count(*)::int as live from sessions where status = 'active'`,
    )) as [{ live: number }];
    await eventually(() =>
      expect(all(stream, 'totals').at(-1)).toEqual({ liveSessions: live, isEstimate: false }),
    );
  });

  describe('while no admin watches', () => {
    it('the instances send no message, and ask PostgreSQL for no totals', async () => {
      const heard: string[] = [];
      const listener = await connect();
      listener.on('notification', ({ payload }) => void heard.push(payload!));
      await listener.query(`listen ${PRODUCT.messagesChannel}`);
      const queries = [a, b].map((app) => jest.spyOn(app.get(DataSource).manager, 'query'));
      const follower = await follow(b);
      await endOne(a);
      // Two heartbeats: more than a second, in which every interval of the live view passes.
      await eventually(() => {
        steady(b).advanceSteadily(100);
        const beats = follower.events.filter(({ event }) => event === 'heartbeat');
        expect(beats.length).toBeGreaterThanOrEqual(2);
      });
      await a.get(InstanceMessages).publish(a.get(DataSource).manager, 'last', null);
      await eventually(() => expect(heard).toEqual([JSON.stringify(['last', null])]));
      expect(JSON.stringify(queries.flatMap(({ mock }) => mock.calls))).not.toContain('pg_class');
      expect(areReporting()).toEqual([false, false]);
    });

    it('they go on to report for 10 s, in case the admin comes back', async () => {
      const stream = await watch();
      await untilBothAreSeen(stream);
      stream.close();
      await eventually(() => expect(a.get(OpenConnections).size).toBe(0));
      expect(areReporting()).toEqual([true, true]);
      await stopReports();
    });

    it('no stream is left of an admin who left before the first event', async () => {
      expect((await admin.get(LIVE)).status).toBe(200);
      await eventually(() => expect(a.get(OpenConnections).size).toBe(0), 5_000);
    });

    it('the next admin sees everything at once', async () => {
      const first = await watch();
      await untilBothAreSeen(first);
      const second = await watch();
      await untilBothAreSeen(second);
      first.close();
      const { seq } = await endOne(b);
      await eventually(() => expect(Object.keys(arrivalsIn(second, seq))).toHaveLength(2));
    });
  });

  it('ignores a message that it does not understand, such as one of another version', async () => {
    const stream = await watch();
    const send = (message: unknown) =>
      a.get(InstanceMessages).publish(a.get(DataSource).manager, 'live-view', message);
    for (const message of [null, { type: 'later' }, { type: 'report', report: { id: 'x' } }])
      await send(message);
    await untilBothAreSeen(stream);
    expect(all(stream, 'instances').at(-1)!.instances).toHaveLength(2);
  });

  it('admits admins only, and ends with their session', async () => {
    const person = await loggedIn(a, await createUser(a));
    expect(await kept(openStream(a, LIVE, person))).toMatchObject({ status: 403 });
    expect(await kept(openStream(a, LIVE, machine))).toMatchObject({ status: 401 });
    expect(await kept(openStream(a, LIVE))).toMatchObject({ status: 401 });
    const stream = await watch();
    await b.get(RevocationService).endSession(admin.id, CAUSE);
    await untilClosed(stream);
    expect(stream.end).toMatchObject({ code: 'auth.session_ended', reason: 'admin' });
  });

  describe('the number of live sessions', () => {
    const count = () => countLiveSessions(a.get(DataSource).manager);

    it('does not count sessions that a global revocation has ended, before the sweep has reached them', async () => {
      expect((await count()).liveSessions).toBeGreaterThan(0);
      const [{ before }] = (await a.query(`select not_before::text as before from session_epoch`)) as [
        { before: string },
      ];
      await a.query(`update session_epoch set not_before = clock_timestamp()`);
      expect(await count()).toEqual({ liveSessions: 0, isEstimate: false });
      await a.query(`update session_epoch set not_before = $1`, [before]);
    });

    it('is an estimate above 10,000, and PostgreSQL reads no more records than that', async () => {
      await createUsers(a, 12_000);
      await a.query('vacuum analyze sessions');
      const { liveSessions, isEstimate } = await count();
      expect(isEstimate).toBe(true);
      expect(liveSessions).toBeGreaterThan(11_000);
      const asked = jest.spyOn(a.get(DataSource).manager, 'query');
      await count();
      const [[statement]] = asked.mock.calls as [[string]];
      const plan = await a.query<{ 'QUERY PLAN': string }>(`explain (analyze, timing off) ${statement}`);
      const text = plan.map((row) => row['QUERY PLAN']).join('\n');
      expect(text).toMatch(/Index Only Scan using sessions_active_by_id on sessions .*rows=10001 /);
      expect(text).not.toContain('Seq Scan on sessions');
      await a.query(
        `delete from sessions where user_id in (select id from users where email like '%@many.example')`,
      );
    });
  });
});
