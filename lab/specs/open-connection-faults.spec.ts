import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { connect as connectTo, type Socket } from 'node:net';
import type { Admission } from '../../src/auth/open-connections/admission.js';
import { EventStreamChannel } from '../../src/auth/open-connections/event-streams.js';
import { SocketChannel } from '../../src/auth/open-connections/guarded-socket.js';
import { OpenConnections } from '../../src/auth/open-connections/open-connections.service.js';
import { CachePort } from '../../src/platform/cache/cache-port.js';
import { close } from '../../src/platform/http/listen.js';
import { Settings } from '../../src/platform/settings/settings.js';
import { LastSeenService } from '../../src/sessions/check/last-seen.service.js';
import { SessionGuard } from '../../src/sessions/check/session.guard.js';
import { SessionReader } from '../../src/sessions/check/session-reader.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { machineOf, type Machine } from '../../test/support/api-keys.js';
import {
  ADMIN,
  ALICE,
  PASSWORD,
  resetClock,
  resetStores,
  startApp,
  type TestApp,
} from '../../test/support/app.js';
import { SteadyClock } from '../../test/support/clock.js';
import type { Client } from '../../test/support/client.js';
import { interruptAt } from '../../test/support/fault-hooks.js';
import { ProbeModule } from '../../test/support/probe-routes.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { AccessGateway, SessionGateway, StreamsModule, Ticker } from '../../test/support/stream-routes.js';
import {
  listening,
  openSocket,
  openStream,
  portOf,
  untilClosed,
  type OpenClient,
} from '../../test/support/streams.js';
import { createUser, createUsers, loggedIn, type TestUser } from '../../test/support/test-users.js';
import { eventually, Gate } from '../../test/support/waiting.js';

/** Real: PostgreSQL, Redis, two instances, sockets. */

/** An open connection, from inside. */
interface Inside {
  channel: unknown;
  admission: Admission | null;
  waiting: unknown[];
  check(): Promise<void>;
}

const CAUSE = { reason: 'admin', actorId: null, context: null } as const;
const STREAMS = '/v1/probe/streams';
const SOCKETS = '/v1/probe/sockets';
const MINUTE_MS = 60_000;

const streams = [ProbeModule, StreamsModule];

describeWithRedis('open connections on two instances', () => {
  let a: TestApp;
  let b: TestApp;
  const open: OpenClient[] = [];

  beforeAll(async () => {
    await resetStores();
    a = await listening(await startApp({ features: streams }));
    b = await listening(await startApp({ features: streams, clock: new SteadyClock() }));
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const client of open.splice(0)) client.close();
    await eventually(() => expect(sizeOf(a) + sizeOf(b)).toBe(0));
    await feedOf(b).catchUp();
  });
  afterAll(() => Promise.all([a.close(), b.close()]));

  const connectionsOf = (app: TestApp) => (app.get(OpenConnections) as unknown as { all: Set<Inside> }).all;
  const sizeOf = (app: TestApp) => app.get(OpenConnections).size;
  const feedOf = (app: TestApp) => app.get(RevocationSubscriber);
  const end = (id: string) => a.get(RevocationService).endSession(id, CAUSE);
  const kept = async <Opened extends OpenClient>(opening: Promise<Opened>): Promise<Opened> => {
    const opened = await opening;
    open.push(opened);
    return opened;
  };
  const stream = (app: TestApp, path: string, client: Client) =>
    kept(openStream(app, STREAMS + path, client));
  const socket = (app: TestApp, path: string, client: Client) =>
    kept(openSocket(app, SOCKETS + path, client));
  const gets = (client: OpenClient, ...texts: string[]) =>
    eventually(() => expect(client.texts).toEqual(texts));
  const newPerson = async () => loggedIn(a, await createUser(a));
  /** The instance hears nothing of others any more. */
  const deafen = (app: TestApp) =>
    jest
      .spyOn(feedOf(app) as unknown as { poll(): Promise<void> }, 'poll')
      .mockRejectedValue(new Error('cut'));
  /** One of each kind, on the other instance. */
  const openAll = async (person: Client) => [
    await stream(b, '/access', person),
    await stream(b, '/session', person),
    await socket(b, '/access', person),
    await socket(b, '/session', person),
  ];
  const untilAllClosed = async (clients: OpenClient[]) => {
    for (const client of clients) await untilClosed(client);
  };

  describe('S6: every end of a session closes its connections, on both tiers of every instance', () => {
    const admin = () => loggedIn(a, ADMIN);
    const ways: [string, string, (person: TestUser) => Promise<unknown>][] = [
      ['a logout', 'logout', (person) => person.post('/v1/auth/logout')],
      [
        'its end by its user',
        'logout',
        async (person) => (await loggedIn(a, person)).delete(`/v1/sessions/${person.id}`),
      ],
      [
        'the end of all other sessions',
        'logout_others',
        async (person) => (await loggedIn(a, person)).delete('/v1/sessions?except=current'),
      ],
      ['an admin', 'admin', async (person) => (await admin()).delete(`/v1/admin/sessions/${person.id}`)],
      ['a ban', 'ban', (person) => ban(person.userId)],
    ];
    const ban = async (userId: string) =>
      expect(await (await admin()).post(`/v1/admin/users/${userId}/ban`, { reason: 'a test' })).toMatchObject(
        { status: 200 },
      );

    it.each(ways)('%s', async (_, reason, act) => {
      const person = await newPerson();
      const clients = await openAll(person);
      await act(person);
      await untilAllClosed(clients);
      for (const client of clients) expect(client.end).toMatchObject({ code: 'auth.session_ended', reason });
    });

    it('an end of everyone', async () => {
      const person = await newPerson();
      const clients = await openAll(person);
      await a.get(RevocationService).endEveryone({ ...CAUSE, reason: 'admin_everyone' });
      await untilAllClosed(clients);
      for (const client of clients) expect(client.end).toMatchObject({ reason: 'admin_everyone' });
    });
  });

  describe('S7: the end of a key closes its connections', () => {
    const openFor = async (caller: Client) => [
      await stream(b, '/access', caller),
      await stream(b, '/session', caller),
    ];
    let owner: TestUser;
    let machine: Machine;
    beforeAll(async () => {
      owner = await newPerson();
    });

    it('the end of a key', async () => {
      machine = await machineOf(a, owner);
      const clients = await openFor(machine);
      await owner.delete(`/v1/api-keys/${machine.keyId}`);
      await untilAllClosed(clients);
      for (const client of clients) expect(client.end).toEqual({ code: 'auth.invalid_key' });
    });

    it('the replacement of a secret without an overlap', async () => {
      machine = await machineOf(a, owner);
      const clients = await openFor(machine);
      await owner.post(`/v1/api-keys/${machine.keyId}/rotate`, { overlapSeconds: 0 });
      await untilAllClosed(clients);
      for (const client of clients) expect(client.end).toEqual({ code: 'auth.invalid_key' });
    });
  });

  it('S6: an instance that hears nothing sends no message after `applied`', async () => {
    const person = await newPerson();
    const [events, messages] = [await stream(b, '/session', person), await socket(b, '/session', person)];
    b.get(Ticker).send('before');
    await gets(events, 'before');
    await gets(messages, 'before');
    deafen(b);
    expect(await end(person.id)).toMatchObject({ status: 'applied' });
    b.get(Ticker).send('after');
    await untilAllClosed([events, messages]);
    for (const client of [events, messages])
      expect(client).toMatchObject({ texts: ['before'], end: { reason: 'admin' } });
  });

  it('S6: an instance that hears nothing sends no chunk of a download after `applied`', async () => {
    const person = await newPerson();
    const opening = stream(b, '/download', person);
    const downloads = () => [...b.get(Ticker).downloads];
    await eventually(() => expect(downloads()).toHaveLength(1));
    downloads()[0]!.push('data: before\n\n');
    const opened = await opening;
    await gets(opened, 'before');
    deafen(b);
    await end(person.id);
    downloads()[0]!.push('data: after\n\n');
    await untilClosed(opened);
    expect(opened.texts).toEqual(['before']);
    expect(opened.response.complete).toBe(false);
  });

  it('S6: a session that ends between the guards and the opening opens nothing', async () => {
    const person = await newPerson();
    const hasMet = interruptAt(
      SessionGuard,
      'check',
      async () => {
        await end(person.id);
        await feedOf(b).catchUp();
      },
      'after',
    );
    expect(await stream(b, '/session', person)).toMatchObject({ status: 401 });
    expect(hasMet()).toBe(true);
  });

  it('S6: an instance that hears nothing acts on no message after `applied`', async () => {
    const person = await newPerson();
    const opened = await socket(b, '/session', person);
    deafen(b);
    await end(person.id);
    opened.send('echo', { text: 'too late' });
    await untilClosed(opened);
    expect(b.get(SessionGateway).received).not.toContain('too late');
  });

  it('S6: 1,000 connections get nothing that was sent after `applied`, while Redis and the feed are as they are', async () => {
    await createUsers(a, 125);
    const users = await a.query<{ email: string }>(
      `select email from users where email like '%@many.example'`,
    );
    const people: TestUser[] = [];
    for (const user of users) people.push(await loggedIn(a, user));
    const clients = new Map<TestUser, OpenClient[]>();
    for (const person of people) {
      const kinds = [a, b].flatMap((app) => [
        stream(app, '/session', person),
        stream(app, '/access', person),
        socket(app, '/session', person),
        socket(app, '/access', person),
      ]);
      clients.set(person, await Promise.all(kinds));
    }
    expect(sizeOf(a) + sizeOf(b)).toBe(1_000);
    const ended = new Set<string>();
    const admissions = new Map(
      [...connectionsOf(a), ...connectionsOf(b)].map(({ channel, admission }) => [channel, admission!]),
    );
    let [late, sent] = [0, 0];
    for (const { prototype } of [EventStreamChannel, SocketChannel]) {
      const write = prototype.write as (this: unknown, message: unknown) => void;
      jest.spyOn(prototype as { write(message: unknown): void }, 'write').mockImplementation(function (
        this: unknown,
        message,
      ) {
        const { checksEachMessage, caller } = admissions.get(this)!;
        if (checksEachMessage && ended.has(caller.id)) late += 1;
        write.call(this, message);
      });
    }
    const ticking = setInterval(
      () => [a, b].forEach((app) => app.get(Ticker).send(String((sent += 1)))),
      100,
    );
    try {
      const waiting = [...people];
      const worker = async () => {
        for (let next = waiting.pop(); next; next = waiting.pop()) {
          const { id } = next;
          if ((await end(id))!.status === 'applied') ended.add(id);
        }
      };
      await Promise.all([worker(), worker(), worker(), worker()]);
      await untilAllClosed([...clients.values()].flat());
    } finally {
      clearInterval(ticking);
    }
    expect(ended.size).toBe(125);
    expect({ late, sent: sent > 0 }).toEqual({ late: 0, sent: true });
  });

  it('S3: a stream goes on while Redis is away, and Postgres decides', async () => {
    const person = await newPerson();
    const opened = await stream(b, '/session', person);
    const reads = jest.spyOn(b.get(SessionReader), 'read');
    jest.spyOn(b.get(CachePort), 'readMany').mockRejectedValue(new Error('Redis is away'));
    b.get(Ticker).send('one');
    await gets(opened, 'one');
    expect(reads).toHaveBeenCalled();
    deafen(b);
    await end(person.id);
    b.get(Ticker).send('after');
    await untilClosed(opened);
    expect(opened.texts).toEqual(['one']);
  });

  describe('the expiry of the access token', () => {
    const later = (app: TestApp, ms: number) => app.clock.advance(ms);
    afterEach(async () => {
      jest.restoreAllMocks();
      await resetClock(b);
    });

    it.each(['/access', '/session'])('and a refresh cut no stream of a live session: %s', async (path) => {
      const person = await newPerson();
      const opened = await stream(b, path, person);
      later(b, 16 * MINUTE_MS);
      b.get(OpenConnections).review();
      b.get(Ticker).send('one');
      await gets(opened, 'one');
      await person.refresh();
      b.get(Ticker).send('two');
      await gets(opened, 'one', 'two');
    });

    it('A4: ends a stream of the access tier whose session has ended unheard', async () => {
      const person = await newPerson();
      const opened = await stream(b, '/access', person);
      deafen(b);
      await end(person.id);
      b.get(Ticker).send('still in time');
      await gets(opened, 'still in time');
      later(b, 16 * MINUTE_MS);
      b.get(Ticker).send('after');
      await untilClosed(opened);
      expect(opened).toMatchObject({ texts: ['still in time'], end: { code: 'auth.session_ended' } });
    });

    it('ends a silent stream, too', async () => {
      const person = await newPerson();
      const opened = await stream(b, '/access', person);
      deafen(b);
      await end(person.id);
      later(b, 16 * MINUTE_MS);
      b.get(OpenConnections).review();
      await untilClosed(opened);
    });

    it('a key that expires ends its streams', async () => {
      const expiresAt = new Date(Date.now() + 5 * MINUTE_MS).toISOString();
      const machine = await machineOf(a, await newPerson(), { expiresAt });
      const opened = await stream(b, '/access', machine);
      b.get(Ticker).send('one');
      await gets(opened, 'one');
      later(b, 6 * MINUTE_MS);
      b.get(OpenConnections).review();
      await untilClosed(opened);
      expect(opened.end).toEqual({ code: 'auth.invalid_key' });
    });
  });

  it('a denied token closes with 4408, so that its client refreshes', async () => {
    const person = await newPerson();
    const opened = await socket(b, '/access', person);
    const { jti } = JSON.parse(Buffer.from(person.accessToken!.split('.')[1]!, 'base64url').toString());
    await a.get(RevocationService).denyToken(jti, CAUSE);
    await untilClosed(opened);
    expect(opened.end).toEqual({ close: 4408, code: 'auth.token_expired' });
  });

  it('the loss of the role closes a stream for admins', async () => {
    const { email } = await createUser(a, ['user', 'admin']);
    const person = await loggedIn(a, { email });
    const opened = await stream(b, '/admin', person);
    expect(opened.status).toBe(200);
    const admin = await loggedIn(a, ADMIN);
    expect(await admin.put(`/v1/admin/users/${person.userId}/roles`, { roles: ['user'] })).toMatchObject({
      status: 200,
    });
    await untilClosed(opened);
    expect(opened.end).toMatchObject({ code: 'auth.forbidden' });
  });

  describe('a blind instance', () => {
    const blind = () => {
      deafen(b);
      (b.clock as SteadyClock).advanceSteadily(6_000);
      b.get(OpenConnections).review();
    };
    const policy = (accessWhenBlind: 'allow' | 'session' | 'deny') => {
      const service = b.get(OpenConnections) as unknown as { settings: object };
      jest.replaceProperty(service, 'settings', { ...service.settings, accessWhenBlind });
    };

    it('A2: closes the session tier, and the access tier goes on: allow', async () => {
      const person = await newPerson();
      const [events, messages, low] = [
        await stream(b, '/session', person),
        await socket(b, '/session', person),
        await stream(b, '/access', person),
      ];
      blind();
      await untilAllClosed([events, messages]);
      expect(events.end).toBeNull(); // the client just connects again
      expect(messages.end).toEqual({ close: 1013, code: 'auth.unavailable' });
      b.get(Ticker).send('on');
      await gets(low, 'on');
      expect(await stream(b, '/session', person)).toMatchObject({ status: 503 });
    });

    it('A2: closes the access tier as well: deny', async () => {
      policy('deny');
      const low = await socket(b, '/access', await newPerson());
      blind();
      await untilClosed(low);
      expect(low.end).toEqual({ close: 1013, code: 'auth.unavailable' });
    });

    it('A2: checks the session of the access tier: session', async () => {
      policy('session');
      const [live, dead] = [await newPerson(), await newPerson()];
      const [low, lost] = [await stream(b, '/access', live), await stream(b, '/access', dead)];
      deafen(b);
      await end(dead.id);
      blind();
      await untilClosed(lost);
      b.get(Ticker).send('on');
      await gets(low, 'on');
    });
  });

  describe('a client that does not read', () => {
    const LARGE = 'x'.repeat(100_000);

    it('S6: gets nothing of what waits for it after the end of its session', async () => {
      const person = await newPerson();
      const opened = await stream(b, '/session', person);
      opened.response.pause();
      for (let count = 0; count < 200; count++) b.get(Ticker).send(LARGE);
      await eventually(() => expect(waiting(b)).toBeGreaterThan(100));
      await end(person.id);
      await eventually(() => expect(sizeOf(b)).toBe(0));
      opened.response.resume();
      await untilClosed(opened);
      expect(opened.texts.length).toBeLessThan(100);
    });

    it('S6: gets nothing after `applied` of what waits for it, from an instance that hears nothing', async () => {
      const person = await newPerson();
      const opened = await stream(b, '/session', person);
      opened.response.pause();
      for (let count = 0; count < 300; count++) b.get(Ticker).send(LARGE);
      // The instance sends as much as the operating system takes, and no more.
      let before = -1;
      await eventually(() => {
        const now = waiting(b);
        const isSteady = now === before;
        before = now;
        expect(isSteady && now > 100).toBe(true);
      });
      deafen(b);
      await end(person.id);
      opened.response.resume();
      await untilClosed(opened);
      expect(opened.texts.length).toBeLessThanOrEqual(300 - before + 1);
    });

    it('is cut off before its messages fill the memory', async () => {
      const person = await newPerson();
      const opened = await stream(b, '/access', person);
      opened.response.pause();
      for (let count = 0; count < 1_300; count++) b.get(Ticker).send(LARGE);
      await eventually(() => expect(sizeOf(b)).toBe(0));
      expect(opened.end).toBeNull();
    });

    it('and answers no ping is gone: its WebSocket is closed', async () => {
      const opened = await socket(b, '/access', await newPerson());
      (opened.socket as unknown as { _socket: Socket })._socket.pause();
      for (let count = 0; count < 2; count++) {
        (b.clock as SteadyClock).advanceSteadily(15_000);
        await feedOf(b).catchUp();
        b.get(OpenConnections).review();
      }
      await eventually(() => expect(sizeOf(b)).toBe(0));
    });

    const waiting = (app: TestApp) => {
      const [connection] = [...connectionsOf(app)];
      return connection?.waiting.length ?? 0;
    };
  });

  it('an instance that was paused between the check and the message checks again', async () => {
    const person = await newPerson();
    const opened = await stream(b, '/session', person);
    const [checked, paused] = [new Gate(), new Gate()];
    const clock = b.clock as SteadyClock;
    const [connection] = [...connectionsOf(b)] as [Inside];
    const check = connection.check.bind(connection);
    jest.spyOn(connection, 'check').mockImplementationOnce(async () => {
      await check();
      checked.open();
      await paused.opened;
    });
    deafen(b);
    b.get(Ticker).send('after');
    await checked.opened;
    await end(person.id);
    clock.advanceSteadily(300);
    paused.open();
    await untilClosed(opened);
    expect(opened.texts).toEqual([]);
  });

  it('a message of a WebSocket marks its session as seen', async () => {
    const person = await newPerson();
    const opened = await socket(b, '/access', person);
    await b.get(LastSeenService).flush(); // the request that opened it marked the session, too
    opened.send('echo', { text: 'hello' });
    await eventually(() => expect(b.get(AccessGateway).received).toContain('hello'));
    const { seen } = b.get(LastSeenService) as unknown as { seen: Map<string, number> };
    expect(seen.has(person.id)).toBe(true);
  });

  it('a shutdown closes all connections, so that clients connect to another instance', async () => {
    const c = await listening(await startApp({ features: streams }));
    const person = await newPerson();
    const [events, messages] = [
      await openStream(c, `${STREAMS}/session`, person),
      await openSocket(c, `${SOCKETS}/access`, person),
    ];
    await close(c.app, c.get(Settings));
    await untilAllClosed([events, messages]);
    expect(events.response.complete).toBe(true);
    expect(messages.end).toEqual({ close: 1013, code: 'auth.unavailable' });
  });

  describe('an upgrade that no gateway takes', () => {
    const answerTo = async (...lines: string[]) => {
      const client = connectTo(portOf(b), '127.0.0.1');
      client.write(lines.join('\r\n'));
      let answer = '';
      client.on('data', (chunk) => (answer += String(chunk)));
      await once(client, 'close');
      return answer;
    };
    const body = JSON.stringify({ email: ALICE.email, password: PASSWORD });

    it('is ignored, and the request is answered as a plain one (RFC 9110 7.8)', async () => {
      const answer = await answerTo(
        'POST /v1/auth/login HTTP/1.1',
        'Host: localhost',
        'Connection: Upgrade, HTTP2-Settings, close',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        '',
        body,
      );
      expect(answer).toMatch(/^HTTP\/1.1 200 OK/);
    });

    it('is answered 404 for a WebSocket at a path without a gateway', async () => {
      const answer = await answerTo(
        'GET /v1/nowhere HTTP/1.1',
        'Host: localhost',
        'Connection: Upgrade, close',
        'Upgrade: websocket',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version: 13',
        '',
        '',
      );
      expect(answer).toMatch(/^HTTP\/1.1 404 /);
    });

    it('a WebSocket without a key is refused by the protocol, and the connection closes', async () => {
      const { accessToken } = await newPerson();
      const answer = await answerTo(
        'GET /v1/probe/sockets/access HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer ${accessToken}`,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        '',
        '',
      );
      expect(answer).toMatch(/^HTTP\/1.1 400 /);
    });
  });
});
