import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { WebSocket as Socket } from 'ws';
import { OpenConnections } from '../../../src/auth/open-connections/open-connections.service.js';
import { RevocationService } from '../../../src/sessions/revocation/revocation.service.js';
import { ADMIN, BOB, resetStores } from '../../../test/support/app.js';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { ProbeModule } from '../../../test/support/probe-routes.js';
import { StreamsModule, Ticker } from '../../../test/support/stream-routes.js';
import { eventually } from '../../../test/support/waiting.js';
import { ApiProblem, SessionEnded } from '../src/index.js';
import { readEvents, type ServerEvent } from '../src/server-events.js';
import { streamEvents, streamMessages } from '../src/streams.js';
import {
  heal,
  loggedIn,
  REFRESH,
  startServer,
  TestTime,
  EXPIRY,
  type Tab,
  type TestServer,
} from './support.js';

const CAUSE = { reason: 'admin', actorId: null, context: null } as const;
const EVENTS = '/v1/probe/streams/session';

/** Real: the server, sockets. */
describe('a stream of the client', () => {
  let server: TestServer;
  let network: FaultProxy;
  const aborts: AbortController[] = [];

  beforeAll(async () => {
    await resetStores();
    server = await startServer({ features: [ProbeModule, StreamsModule] });
    network = await FaultProxy.before(server.url);
  });
  afterEach(async () => {
    for (const abort of aborts.splice(0)) abort.abort();
    network.heal();
    await eventually(() => expect(connections()).toBe(0));
  });
  afterAll(async () => {
    await network.close();
    await server.close();
  });

  const connections = () => server.get(OpenConnections).size;
  const tick = (text: string) => server.get(Ticker).send(text);
  const untilOpen = () => eventually(() => expect(connections()).toBe(1));
  const end = (tab: Tab) => server.get(RevocationService).endSession(tab.sessionId, CAUSE);
  /** Reads in the background: the texts that have arrived, and how it ended. */
  const read = <Item>(open: (signal: AbortSignal) => AsyncIterable<Item>, textOf: (item: Item) => string) => {
    const abort = new AbortController();
    aborts.push(abort);
    const reading = { texts: [] as string[], error: undefined as unknown };
    void (async () => {
      for await (const item of open(abort.signal)) reading.texts.push(textOf(item));
    })().catch((error) => (reading.error = error));
    return reading;
  };
  const readStream = (tab: Tab, path = EVENTS) =>
    read<ServerEvent>(
      (signal) => streamEvents(tab.client, path, { signal, time: tab.time }),
      ({ data }) => data,
    );
  const gets = (reading: { texts: string[] }, ...texts: string[]) =>
    eventually(() => expect(reading.texts).toEqual(texts));

  it.each(['cookie', 'bearer'] as const)('brings the events of the server (%s)', async (transport) => {
    const reading = readStream(await loggedIn(server, { transport }, BOB));
    await untilOpen();
    tick('one');
    tick('two');
    await gets(reading, 'one', 'two');
  });

  it('tells the app when the session has ended, and why', async () => {
    const tab = await loggedIn(server, { transport: 'bearer' }, BOB);
    const reading = readStream(tab);
    await untilOpen();
    await end(tab);
    await eventually(() => expect(reading.error).toBeInstanceOf(SessionEnded));
    expect(reading.error).toMatchObject({ reason: 'admin' });
    expect(tab.told).toMatchObject([{ reason: 'admin' }]);
  });

  it('refreshes an expired token when it connects', async () => {
    const tab = await loggedIn(server, { transport: 'bearer' }, BOB);
    tab.time.advance(EXPIRY);
    server.clock.advance(EXPIRY);
    server.arrived(REFRESH);
    const reading = readStream(tab);
    await untilOpen();
    tick('one');
    await gets(reading, 'one');
    expect(server.arrived(REFRESH)).toBe(1);
    expect(tab.client.ended).toBeNull();
  });

  it('connects again after the network was cut, and names the last event', async () => {
    const tab = await loggedIn({ url: network.url.replace(/\/$/, '') }, { transport: 'bearer' }, BOB);
    const reading = readStream(tab);
    await untilOpen();
    tick('one');
    await gets(reading, 'one');
    network.cut();
    await eventually(() => expect(connections()).toBe(0));
    await heal(network);
    await untilOpen();
    tick('two');
    await gets(reading, 'one', 'two');
  });

  it('connects again when it hears nothing for too long', async () => {
    const tab = await loggedIn(server, { transport: 'bearer' }, BOB);
    tab.time.holding = true;
    const reading = readStream(tab);
    await untilOpen();
    await eventually(() => expect(tab.time.waiting).toContain(45_000));
    tab.time.holding = false;
    tab.time.skip(45_000);
    let requests = 0;
    await eventually(() => expect((requests += server.arrived(EVENTS))).toBeGreaterThanOrEqual(2));
    await eventually(() => {
      tick('one');
      expect(reading.texts).toContain('one');
    });
  });

  it('reports a refusal that another try would not change', async () => {
    const tab = await loggedIn(server, { transport: 'bearer' }, BOB);
    const reading = readStream(tab, '/v1/probe/streams/admin');
    await eventually(() => expect(reading.error).toBeInstanceOf(ApiProblem));
    expect(reading.error).toMatchObject({ code: 'auth.forbidden' });
    expect(tab.client.ended).toBeNull();
  });

  describe('over a WebSocket', () => {
    const url = () => `${server.url.replace('http', 'ws')}/v1/probe/sockets/session`;
    const connect = (tab: Tab) => (to: string) =>
      new Socket(to, {
        headers: { cookie: [...tab.jar.cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      }) as unknown as WebSocket;
    const readMessages = (tab: Tab, onOpen?: (socket: WebSocket) => void) =>
      read(
        (signal) =>
          streamMessages(tab.client, url(), { signal, connect: connect(tab), onOpen, time: tab.time }),
        (message) => JSON.stringify((message as { data: unknown }).data),
      );

    it('brings messages, and sends on each new connection', async () => {
      const tab = await loggedIn(server, { transport: 'cookie' }, BOB);
      const say = (socket: WebSocket) => socket.send(JSON.stringify({ event: 'echo', data: { text: 'hi' } }));
      const reading = readMessages(tab, say);
      await eventually(() => expect(reading.texts.join()).toContain('hi'));
      tick('one');
      await eventually(() => expect(reading.texts.at(-1)).toBe('"one"'));
    });

    it('connects again after a connection has closed', async () => {
      const tab = await loggedIn(server, { transport: 'cookie' }, BOB);
      const reading = readMessages(tab);
      await untilOpen();
      for (const socket of server.get(Ticker).sockets) socket.close(1013);
      await eventually(() => {
        tick('one');
        expect(reading.texts).toContain('"one"');
      });
    });

    it('tells the app when the session has ended', async () => {
      const tab = await loggedIn(server, { transport: 'cookie' }, ADMIN);
      const reading = readMessages(tab);
      await untilOpen();
      await end(tab);
      await eventually(() => expect(reading.error).toBeInstanceOf(SessionEnded));
    });
  });
});

describe('the events of a response', () => {
  const eventsOf = async (...chunks: string[]) => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
        controller.close();
      },
    });
    const events: ServerEvent[] = [];
    for await (const event of readEvents(body, 1_000, new TestTime())) events.push(event);
    return events;
  };
  const message = (data: string, id = '', type = 'message') => ({ type, data, id });

  it.each<[string, string[], ServerEvent[]]>([
    ['an event', ['data: a\n\n'], [message('a')]],
    ['several lines of data', ['data: a\ndata:b\ndata\n\n'], [message('a\nb\n')]],
    ['a type and an id', ['event: x\nid: 7\ndata: a\n\n'], [message('a', '7', 'x')]],
    [
      'an id stays for later events',
      ['id: 7\ndata: a\n\ndata: b\n\n'],
      [message('a', '7'), message('b', '7')],
    ],
    ['an id with NUL is ignored', ['id: 7\0\ndata: a\n\n'], [message('a')]],
    [
      'all kinds of line ends',
      ['data: a\r\n\r\ndata: b\r\rdata: c\n\n'],
      [message('a'), message('b'), message('c')],
    ],
    ['a CRLF in two chunks', ['data: a\r', '\ndata: b\r\n\r', '\n'], [message('a\nb')]],
    ['a line in two chunks', ['da', 'ta: a', 'b\n', '\n'], [message('ab')]],
    ['comments and other fields', [': hi\nretry: 5\nother: x\ndata: a\n\n'], [message('a')]],
    ['an event without data is none', ['event: x\n\ndata: a\n\n'], [message('a')]],
    ['an unfinished event is none', ['data: a\n'], []],
    ['a colon in the data', ['data: {"a":"b: c"}\n\n'], [message('{"a":"b: c"}')]],
  ])('%s', async (_, chunks, events) => {
    expect(await eventsOf(...chunks)).toEqual(events);
  });
});
