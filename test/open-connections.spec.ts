import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { OpenConnections } from '../src/auth/open-connections/open-connections.service.js';
import { RevocationService } from '../src/sessions/revocation/revocation.service.js';
import { machineOf } from './support/api-keys.js';
import { ADMIN, ALICE, BOB, resetStores, startApp, type TestApp } from './support/app.js';
import { ProbeModule } from './support/probe-routes.js';
import { StreamsModule, Ticker } from './support/stream-routes.js';
import {
  listening,
  openSocket,
  openStream,
  portOf,
  untilClosed,
  type OpenClient,
} from './support/streams.js';
import { createUser, loggedIn } from './support/test-users.js';
import { eventually } from './support/waiting.js';

const CAUSE = { reason: 'admin', actorId: null, context: null } as const;
const ENDED = { code: 'auth.session_ended', reason: 'admin' };

const STREAMS = '/v1/probe/streams';
const SOCKETS = '/v1/probe/sockets';

describe('an open connection', () => {
  let app: TestApp;
  const open: OpenClient[] = [];

  beforeAll(async () => {
    await resetStores();
    app = await listening(await startApp({ features: [ProbeModule, StreamsModule] }));
  });
  afterEach(async () => {
    for (const client of open.splice(0)) client.close();
    await eventually(() => expect(app?.get(OpenConnections).size ?? 0).toBe(0));
  });
  afterAll(() => app.close());

  const stream = async (...[path, client, options]: [string, any?, any?]) => {
    const opened = await openStream(app, STREAMS + path, client, options);
    open.push(opened);
    return opened;
  };
  const socket = async (...[path, client, options]: [string, any?, any?]) => {
    const opened = await openSocket(app, SOCKETS + path, client, options);
    open.push(opened);
    return opened;
  };
  const tick = (text: string) => app.get(Ticker).send(text);
  const end = (id: string) => app.get(RevocationService).endSession(id, CAUSE);
  const gets = (client: OpenClient, ...texts: string[]) =>
    eventually(() => expect(client.texts).toEqual(texts));

  describe('is guarded as any other route', () => {
    it.each(['/access', '/session', '/admin'])(
      'a stream without a credential is refused: %s',
      async (path) => {
        expect(await stream(path)).toMatchObject({ status: 401 });
      },
    );

    it.each(['/access', '/session'])('a WebSocket without a credential is refused: %s', async (path) => {
      expect(await socket(path)).toMatchObject({ status: 401, end: { code: 'auth.unauthenticated' } });
    });

    it('a public stream needs no credential', async () => {
      const opened = await stream('/public');
      tick('one');
      await gets(opened, 'one');
    });

    it.each(['/access', '/session'])('a stream sends the messages of its handler: %s', async (path) => {
      const opened = await stream(path, await loggedIn(app, ALICE));
      expect(opened).toMatchObject({ status: 200 });
      tick('one');
      tick('two');
      await gets(opened, 'one', 'two');
      expect(opened.events[0]).toEqual({ event: 'message', data: 'one', id: 'one' });
    });

    it('a user without the role is refused, and an admin is let in', async () => {
      expect(await stream('/admin', await loggedIn(app, ALICE))).toMatchObject({ status: 403 });
      expect(await stream('/admin', await loggedIn(app, ADMIN))).toMatchObject({ status: 200 });
    });

    it('a WebSocket has its caller, and answers the messages of its client', async () => {
      const alice = await loggedIn(app, ALICE);
      const opened = await socket('/session', alice);
      opened.send('echo', { text: 'hello' });
      await eventually(() =>
        expect(opened.messages).toEqual([
          { event: 'echo', data: { text: 'hello', kind: 'session', id: alice.id } },
        ]),
      );
    });

    it('a machine opens a stream and a WebSocket with a key that has the scope, and no other', async () => {
      const machine = await machineOf(app, await loggedIn(app, ALICE));
      const reader = await machineOf(app, await loggedIn(app, ALICE), { scopes: ['probe:read'] });
      expect(await stream('/session', machine)).toMatchObject({ status: 200 });
      expect(await socket('/session', machine)).toMatchObject({ status: 101 });
      expect(await stream('/session', reader)).toMatchObject({ status: 403 });
      expect(await socket('/session', reader)).toMatchObject({
        status: 403,
        end: { code: 'auth.insufficient_scope' },
      });
      expect(await socket('/access', machine)).toMatchObject({ status: 401 });
    });

    it('two credentials are refused', async () => {
      const alice = await loggedIn(app, ALICE);
      expect(await socket('/session', alice, { headers: { 'x-api-key': 'dbk_x' } })).toMatchObject({
        status: 400,
        end: { code: 'auth.ambiguous_credentials' },
      });
    });

    it('a page of another site cannot open a WebSocket with the cookies of this one', async () => {
      const alice = await loggedIn(app, ALICE, 'cookie');
      expect(await socket('/session', alice, { headers: { origin: 'https://evil.example' } })).toMatchObject({
        status: 403,
        end: { code: 'request.cross_site' },
      });
      expect(await socket('/session', alice, { headers: { 'sec-fetch-site': 'cross-site' } })).toMatchObject({
        status: 403,
      });
      const port = portOf(app);
      const own = { origin: `http://127.0.0.1:${port}` };
      expect(await socket('/session', alice, { headers: own })).toMatchObject({ status: 101 });
    });

    it('a plain request to the path of a WebSocket is told to upgrade', async () => {
      const answer = await (await loggedIn(app, ALICE)).get(`${SOCKETS}/session`);
      expect(answer).toMatchObject({
        status: 426,
        body: { code: 'request.upgrade_required' },
        headers: { upgrade: 'websocket' },
      });
    });

    it('a user has a limited number of open connections', async () => {
      const person = await loggedIn(app, await createUser(app));
      for (let count = 0; count < 20; count++)
        expect(await stream('/access', person)).toMatchObject({ status: 200 });
      expect(await stream('/access', person)).toMatchObject({ status: 429 });
      expect(await socket('/session', person)).toMatchObject({ status: 429 });
      // A fleet of machines uses the keys of one user.
      expect(await stream('/access', await machineOf(app, person))).toMatchObject({ status: 200 });
      for (const client of open.splice(0, 2)) client.close();
      await eventually(async () => expect(await stream('/access', person)).toMatchObject({ status: 200 }));
    });
  });

  describe('ends with its session', () => {
    it.each(['/access', '/session'])('S6: a stream is told the reason, and closes: %s', async (path) => {
      const bob = await loggedIn(app, BOB);
      const opened = await stream(path, bob);
      tick('before');
      await gets(opened, 'before');
      expect(await end(bob.id)).toMatchObject({ status: 'applied' });
      tick('after');
      await untilClosed(opened);
      expect(opened).toMatchObject({ texts: ['before'], end: ENDED });
      // A client that connects again names the last event that it got.
      expect(opened.events.at(-1)).toMatchObject({ event: 'session_ended', id: 'before' });
    });

    it.each(['/access', '/session'])('S6: a WebSocket closes with 4401 and the reason: %s', async (path) => {
      const bob = await loggedIn(app, BOB);
      const opened = await socket(path, bob);
      tick('before');
      await gets(opened, 'before');
      await end(bob.id);
      tick('after');
      await untilClosed(opened);
      expect(opened).toMatchObject({ texts: ['before'], end: { ...ENDED, close: 4401 } });
    });

    it('S6: a download breaks off, so that the client cannot take it for complete', async () => {
      const bob = await loggedIn(app, BOB);
      const opening = stream('/download', bob);
      await eventually(() => expect(app.get(Ticker).downloads.size).toBe(1));
      for (const download of app.get(Ticker).downloads) download.push('data: before\n\n');
      const opened = await opening; // a response begins with its first chunk
      await gets(opened, 'before');
      await end(bob.id);
      await untilClosed(opened);
      expect(opened.response.complete).toBe(false);
      await eventually(() => expect(app.get(Ticker).downloads.size).toBe(0));
    });

    it('the connections of other sessions stay open', async () => {
      const [ended, other] = [await loggedIn(app, BOB), await loggedIn(app, BOB)];
      const [first, second] = [await stream('/session', ended), await stream('/session', other)];
      await end(ended.id);
      await untilClosed(first);
      tick('on');
      await gets(second, 'on');
    });
  });

  it('the handler of a stream is unsubscribed when the client leaves', async () => {
    const opened = await stream('/session', await loggedIn(app, ALICE));
    expect(app.get(Ticker).running).toBe(1);
    opened.close();
    await eventually(() => expect(app.get(Ticker).running).toBe(0));
  });

  describe('answers messages with problems', () => {
    const exception = (code: string) => ({ event: 'exception', data: expect.objectContaining({ code }) });

    it.each([
      ['a text that is no JSON', 'nonsense', 'request.invalid'],
      ['an unknown event', '{"event":"unknown"}', 'request.invalid'],
      ['no event', '{}', 'request.invalid'],
      ['null', 'null', 'request.invalid'],
      ['data that the schema refuses', '{"event":"echo","data":{"text":1}}', 'request.invalid'],
      ['a fault of the server', '{"event":"fail"}', 'internal.error'],
      ['a problem of the handler', '{"event":"refuse"}', 'resource.conflict'],
    ])('%s', async (_, message, code) => {
      const opened = await socket('/session', await loggedIn(app, ALICE));
      opened.socket.send(message);
      opened.send('echo', { text: 'still open' });
      await eventually(() => expect(opened.messages).toHaveLength(2));
      expect(opened.messages).toEqual([exception(code), expect.objectContaining({ event: 'echo' })]);
      expect(JSON.stringify(opened.messages)).not.toContain('a secret');
    });

    it('a message that is too large closes the WebSocket', async () => {
      const opened = await socket('/session', await loggedIn(app, ALICE));
      opened.socket.send('x'.repeat(10_241));
      await untilClosed(opened);
      expect(opened.end).toEqual({ close: 1009 });
    });
  });
});
