import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRelay, type Relay } from '../src/index.js';
import { RelayLog } from '../src/relay/relay-log.js';
import { API_KEY, AUDIENCE, ISSUER, ScriptedApplication, sessionIdAt } from './scripted-application.js';
import { ScriptedTime, settle } from './scripted-time.js';
import { follow, type Scene } from './support.js';

const KEY = 'a key of the relay';

/** Real: the relay over HTTP. Scripted: the application, the time. */
describe('a relay', () => {
  let time: ScriptedTime;
  let application: ScriptedApplication;
  let relay: Relay;
  let server: Server;
  let url: string;

  beforeAll(async () => {
    server = createServer((request, response) => relay.handle(request, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });
  beforeEach(async () => {
    time = new ScriptedTime();
    application = new ScriptedApplication(time);
    relay = createRelay({
      url: 'https://app.example',
      issuer: ISSUER,
      audience: AUDIENCE,
      apiKey: API_KEY,
      keys: ['another', KEY],
      fetch: application.fetch as typeof fetch,
      time,
      random: () => 0.5,
    });
    await settle();
  });
  afterEach(() => relay.close());

  /** The keys come from the application, the feed from the relay. */
  const overRelay = (async (address: string, init: RequestInit) =>
    address.startsWith(url) ? fetch(address, init) : application.fetch(address, init)) as typeof fetch;
  const behind = async (): Promise<Scene> => {
    const scene = await follow(time, application, { feed: url, apiKey: KEY, fetch: overRelay });
    await scene.verifier.ready();
    await until(() => relay.clientCount > 0);
    return scene;
  };
  /** Sockets are real, so their bytes come in their own time. */
  async function until(isDone: () => boolean | Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < 2_000; tries += 1) {
      if (await isDone()) return;
      await settle();
    }
    throw new Error('it does not happen');
  }
  const get = (path: string, key?: string) =>
    fetch(url + path, { headers: key === undefined ? {} : { 'x-api-key': key } });

  it('A verifier behind a relay refuses an ended session, and its heartbeats are those of the application', async () => {
    const scene = await behind();
    const sid = sessionIdAt(time.now());
    const token = application.token({ sid });
    expect(await scene.outcome(token)).toBe('accepted');
    application.revoke({ subjects: [sid] });
    await until(async () => (await scene.outcome(token)) === 'auth.session_ended');
    for (let second = 0; second < 8; second += 1) {
      await time.advance(1_000);
      application.heartbeat();
      await until(() => scene.verifier.age === 0);
    }
    expect(scene.interruptions).toEqual([]);
    scene.verifier.close();
  });

  it('A relay that misses an event makes its verifiers list again, and hides nothing', async () => {
    const scene = await behind();
    const sid = sessionIdAt(time.now());
    const token = application.token({ sid });
    expect(await scene.outcome(token)).toBe('accepted');
    application.revoke({ subjects: [sid] }, { isSent: false });
    application.heartbeat({ time: time.now() + 1 });
    await until(async () => {
      await time.advance(50);
      return (await scene.outcome(token)) === 'auth.session_ended';
    });
    scene.verifier.close();
  });

  it('A relay whose application is away answers 503, and its verifiers are blind after 5 s', async () => {
    const scene = await behind();
    const token = application.token();
    application.failure = () => new Response('', { status: 503 });
    application.cut();
    await time.advance(5_001);
    expect((await get('/v1/revocations/snapshot', KEY)).status).toBe(503);
    expect((await get('/v1/revocations/stream', KEY)).status).toBe(503);
    expect(await scene.outcome(token)).toBe('auth.unavailable');
    scene.verifier.close();
  });

  it('Fifty verifiers that start at once cost the application one snapshot', async () => {
    const before = application.requests.filter((path) => path.endsWith('snapshot')).length;
    const answers = await Promise.all(Array.from({ length: 50 }, () => get('/v1/revocations/snapshot', KEY)));
    expect(new Set(await Promise.all(answers.map((answer) => answer.text()))).size).toBe(1);
    expect(application.requests.filter((path) => path.endsWith('snapshot'))).toHaveLength(before + 1);
  });

  it('A relay admits only its own keys, and the application’s key is none of them', async () => {
    for (const path of ['/v1/revocations/snapshot', '/v1/revocations/stream']) {
      expect((await get(path)).status).toBe(401);
      expect((await get(path, API_KEY)).status).toBe(401);
      expect(await (await get(path, 'x')).json()).toMatchObject({ code: 'auth.invalid_key' });
    }
    expect((await get('/v1/sessions', KEY)).status).toBe(404);
  });

  it('A client with a newer cursor than the relay gets no event twice, and no heartbeat of before', () => {
    const log = new RelayLog();
    log.restart('one.5');
    const sent: string[] = [];
    const client = { send: (frame: string) => sent.push(/id: (\S*)/.exec(frame)![1]!), end: () => undefined };
    log.join(client, 'one.7');
    for (const position of [6, 7, 8]) {
      log.publish({ type: 'revocation', id: `one.${position}`, data: '{}' });
      log.publish({ type: 'heartbeat', id: `one.${position}`, data: 'x' });
    }
    expect(sent).toEqual(['one.7', 'one.8', 'one.8']);
  });

  it.each(['one.6', 'two.5'])('A relay that jumps to the cursor "%s" ends its streams', (cursor) => {
    const log = new RelayLog();
    log.restart('one.5');
    const said: string[] = [];
    log.join({ send: (frame) => void said.push(frame), end: () => void said.push('end') }, 'one.5');
    log.restart('one.5'); // the same list again is no jump
    expect(said).toEqual([]);
    log.restart(cursor);
    expect(said).toEqual([expect.stringContaining('event: list_again'), 'end']);
    expect(log.clientCount).toBe(0);
  });

  it.each(['two.5', 'one.4', 'x', ''])('A client with the cursor "%s" has to list again', (cursor) => {
    const log = new RelayLog();
    log.restart('one.5');
    const sent: string[] = [];
    let hasEnded = false;
    log.join({ send: (frame) => void sent.push(frame), end: () => void (hasEnded = true) }, cursor);
    expect([sent.join('').includes('event: list_again'), hasEnded, log.clientCount]).toEqual([true, true, 0]);
  });
});
