import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { FeedStatements } from '../../src/auth/revocation-feed/feed-statements.js';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { PRODUCT } from '../../src/product.js';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { createKey } from '../../test/support/api-keys.js';
import {
  ADMIN,
  ALICE,
  holdBackgroundWork,
  resetStores,
  startApp,
  type TestApp,
} from '../../test/support/app.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import { describeWithNginx, startNginx } from '../../test/support/nginx.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { loggedIn } from '../../test/support/test-users.js';
import { startVerifier, type VerifierProcess } from '../../test/support/verifier-process.js';
import { eventually } from '../../test/support/waiting.js';

const ACCEPTED = { status: 204, code: null };
const ENDED = { status: 401, code: 'auth.session_ended' };
const UNAVAILABLE = { status: 503, code: 'auth.unavailable' };
const RELAY_KEY = 'a key of the relay';

/**
 * Real: PostgreSQL, Redis, two instances over HTTP, and verifiers as processes: one beside each instance, and one behind a
 * relay, which is another process. Each follows the feed through a network that fails on demand.
 */
describeWithRedis('verifiers of two instances', () => {
  let a: TestApp;
  let b: TestApp;
  let network: FaultProxy;
  let base: Record<string, string>;
  let relay: VerifierProcess;
  const verifiers: Record<'direct' | 'distant' | 'relayed', VerifierProcess> = {} as never;
  const others: VerifierProcess[] = [];

  const urlOf = async ({ app }: TestApp) => {
    await app.listen(0, '127.0.0.1');
    return (await app.getUrl()).replace('localhost', '127.0.0.1');
  };
  beforeAll(async () => {
    await resetStores();
    [a, b] = [await startApp(), await startApp()];
    const [urlOfA, urlOfB] = [await urlOf(a), await urlOf(b)];
    network = await FaultProxy.before(urlOfB);
    const { key } = await createKey(await loggedIn(a, ADMIN), { scopes: ['revocations:read'] });
    base = {
      VERIFIER_URL: urlOfA,
      VERIFIER_API_KEY: key,
      VERIFIER_ISSUER: PRODUCT.slug,
      VERIFIER_AUDIENCE: PRODUCT.slug,
    };
    relay = await startVerifier('relay', { ...base, VERIFIER_RELAY_KEYS: RELAY_KEY });
    verifiers.direct = await startVerifier('sidecar', base);
    verifiers.distant = await startVerifier('sidecar', { ...base, VERIFIER_FEED: network.url });
    await eventually(() => expect(relay.output()).toContain('the list is complete'));
    verifiers.relayed = await startVerifier('sidecar', {
      ...base,
      VERIFIER_FEED: relay.url,
      VERIFIER_API_KEY: RELAY_KEY,
    });
    await allCurrent();
  });
  afterEach(async () => {
    network.heal();
    for (const { stop } of others.splice(0)) await stop();
    await allCurrent();
  });
  afterAll(async () => {
    for (const { stop } of [...Object.values(verifiers), relay]) await stop();
    await Promise.all([a.close(), b.close()]);
    await network.close();
  });

  const allCurrent = () => Promise.all(Object.values(verifiers).map(({ ready }) => ready()));
  const start = async (env: Record<string, string> = {}, options = {}) => {
    const verifier = await startVerifier('sidecar', { ...base, ...env }, options);
    others.push(verifier);
    return verifier;
  };
  const login = async () => {
    const { id, accessToken } = await loggedIn(a, ALICE);
    return { id, token: accessToken! };
  };
  const end = async (id: string, by = a) => {
    const order = { reason: 'admin', actorId: null, context: null } as const;
    return (await by.get(RevocationService).endSession(id, order))!.seq;
  };
  const outcomes = (token: string, headers = {}) =>
    Promise.all(Object.values(verifiers).map(({ verify }) => verify(token, headers)));
  const all = (outcome: object) => Object.values(verifiers).map(() => outcome);

  it('A1: Every verifier refuses a session that either instance has ended, with the codes of the application', async () => {
    for (const instance of [a, b]) {
      const { id, token } = await login();
      expect(await outcomes(token)).toEqual(all(ACCEPTED));
      await end(id, instance);
      await eventually(async () => expect(await outcomes(token)).toEqual(all(ENDED)));
    }
    expect(await outcomes('x')).toEqual(all({ status: 401, code: 'auth.invalid_token' }));
  });

  it('A request with X-Min-Revocation-Seq is never accepted by a verifier without that revocation', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id, token } = await login();
      const seq = await end(id);
      expect(await outcomes(token, { 'x-min-revocation-seq': String(seq) })).toEqual(all(ENDED));
    }
    const { token } = await login();
    expect(await outcomes(token, { 'x-min-revocation-seq': '999999999' })).toEqual(all(UNAVAILABLE));
  });

  it('A2: A verifier whose feed is cut is blind after 5 s, and has missed nothing when it comes back', async () => {
    const { distant, direct } = verifiers;
    const [before, meanwhile] = [await login(), await login()];
    network.cut();
    await end(meanwhile.id);
    await eventually(async () => expect(await direct.verify(meanwhile.token)).toEqual(ENDED));
    await eventually(async () => expect(await distant.verify(before.token)).toEqual(UNAVAILABLE));
    expect(await direct.verify(before.token)).toEqual(ACCEPTED);
    network.heal();
    await distant.ready();
    expect(await distant.verify(meanwhile.token)).toEqual(ENDED);
    expect(await distant.verify(before.token)).toEqual(ACCEPTED);
  });

  it('A2: A feed whose connection hangs is blind too, and one whose policy is `allow` accepts until exp', async () => {
    const open = await start({ VERIFIER_FEED: network.url, VERIFIER_WHEN_BLIND: 'allow' });
    await open.ready();
    const { token } = await login();
    network.stall();
    await eventually(async () => expect(await verifiers.distant.verify(token)).toEqual(UNAVAILABLE));
    expect(await open.verify(token)).toEqual(ACCEPTED);
  });

  it('A2: A verifier that was frozen answers nothing from its old list', async () => {
    const { direct } = verifiers;
    const { id, token } = await login();
    expect(await direct.verify(token)).toEqual(ACCEPTED);
    direct.signal('SIGSTOP');
    await end(id);
    const stopped = performance.now();
    await eventually(() => expect(performance.now() - stopped).toBeGreaterThan(6_000));
    const asked = direct.verify(token);
    direct.signal('SIGCONT');
    expect([ENDED, UNAVAILABLE]).toContainEqual(await asked);
    await direct.ready();
    expect(await direct.verify(token)).toEqual(ENDED);
  });

  it('A3: A verifier that starts without a feed refuses every request until it has the list', async () => {
    network.cut();
    const { id, token } = await login();
    await end(id);
    const late = await start({ VERIFIER_FEED: network.url, VERIFIER_WHEN_BLIND: 'allow' });
    expect(await late.verify(token)).toEqual(UNAVAILABLE);
    expect(await late.verify((await login()).token)).toEqual(UNAVAILABLE);
    network.heal();
    await late.ready();
    expect(await late.verify(token)).toEqual(ENDED);
  });

  it('A3: A verifier that is killed comes back with every revocation from before', async () => {
    const { id, token } = await login();
    await end(id);
    await (await start()).stop();
    const again = await start();
    await again.ready();
    expect(await again.verify(token)).toEqual(ENDED);
  });

  it('A2: A verifier whose clock is 20 s off never has a list, and says why', async () => {
    for (const [clockOffset, why] of [
      [20_000, 'ahead'],
      [-20_000, 'behind'],
    ] as const) {
      const wrong = await start({ VERIFIER_WHEN_BLIND: 'allow' }, { clockOffset });
      await eventually(() => expect(wrong.output()).toContain(why));
      expect(await wrong.verify((await login()).token)).toEqual(UNAVAILABLE);
    }
  });

  it('A verifier behind a relay that dies is blind, and catches up when a relay is back', async () => {
    const { id, token } = await login();
    const port = new URL(relay.url).port;
    await relay.stop();
    await eventually(async () => expect(await verifiers.relayed.verify(token)).toEqual(UNAVAILABLE));
    await end(id);
    relay = await startVerifier('relay', { ...base, PORT: port, VERIFIER_RELAY_KEYS: RELAY_KEY });
    await verifiers.relayed.ready();
    expect(await verifiers.relayed.verify(token)).toEqual(ENDED);
  });

  describe('fed by a false server', () => {
    let falseServer: Server;
    let answer: (request: IncomingMessage) => Promise<string>;
    let url: string;
    beforeAll(async () => {
      falseServer = createServer((request, response) => {
        void answer(request).then((text) =>
          request.url!.endsWith('/stream')
            ? response.writeHead(200, { 'content-type': 'text/event-stream' }).write(text)
            : response.end(text),
        );
      }).listen(0, '127.0.0.1');
      await once(falseServer, 'listening');
      url = `http://127.0.0.1:${(falseServer.address() as AddressInfo).port}`;
    });
    afterAll(() => {
      falseServer.close();
      falseServer.closeAllConnections();
    });

    const real = async (path: string) => {
      const headers = { 'x-api-key': base['VERIFIER_API_KEY']! };
      return (await fetch(base['VERIFIER_URL'] + path, { headers })).text();
    };

    it('A verifier never accepts a snapshot without the revocation that a false server hides', async () => {
      const { id, token } = await login();
      const old = await real('/v1/revocations/snapshot');
      await end(id);
      answer = async ({ url: path }) => {
        if (path!.endsWith('/stream')) return '\n';
        const { statement, cursor } = JSON.parse(await real('/v1/revocations/snapshot')) as Record<
          string,
          string
        >;
        return old
          .replace(/"statement":"[^"]*"/, `"statement":"${statement}"`)
          .replace(/"cursor":"[^"]*"/, `"cursor":"${cursor}"`);
      };
      const fed = await start({ VERIFIER_FEED: url, VERIFIER_WHEN_BLIND: 'allow' });
      await eventually(() => expect(fed.output()).toContain('the entries are not the signed ones'));
      expect(await fed.verify(token)).toEqual(UNAVAILABLE);
    });

    it('A verifier is blind to heartbeats that a false server repeats or makes up', async () => {
      const snapshot = await real('/v1/revocations/snapshot');
      const { cursor, statement } = JSON.parse(snapshot) as Record<string, string>;
      const [instance, position] = cursor!.split('.') as [string, string];
      const { chain } = JSON.parse(Buffer.from(statement!.split('.')[1]!, 'base64url').toString()) as {
        chain: string;
      };
      const facts = { instance, position: Number(position), chain, time: Date.now() + 60_000, seq: 0 };
      const forged = a
        .get(FeedStatements)
        .heartbeat(facts)
        .replace(/.{10}$/, 'AAAAAAAAAA');
      answer = async ({ url: path }) =>
        path!.endsWith('/stream') ? `event: heartbeat\nid: ${cursor}\ndata: ${forged}\n\n` : snapshot;
      const fed = await start({ VERIFIER_FEED: url });
      await eventually(() => expect(fed.output()).toContain('a heartbeat is not authentic'));
      const { token } = await login();
      await eventually(async () => expect(await fed.verify(token)).toEqual(UNAVAILABLE));
      await eventually(() => expect(fed.output()).toMatch(/old, or the clock is ahead|interrupted/));
    });
  });

  it('Verifiers ask nothing of PostgreSQL: 300 snapshots, 100 streams and 1,500 requests cause no statement', async () => {
    for (const app of [a, b]) {
      holdBackgroundWork(app);
      app.get(Jobs).stop('api-key-uses', 'last-seen'); // once a minute, however often a key is used
    }
    const { query } = pg.Client.prototype;
    const POLL = 'poll revocations';
    let asked: string[] = [];
    pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
      const [statement] = args as [string | { text?: string; name?: string }];
      asked.push(typeof statement === 'string' ? statement : (statement.name ?? statement.text ?? ''));
      return (query as (...args: unknown[]) => unknown).apply(this, args);
    } as never;
    try {
      const headers = { 'x-api-key': base['VERIFIER_API_KEY']! };
      const url = base['VERIFIER_URL']!;
      const { token } = await login();
      await fetch(`${url}/v1/revocations/snapshot`, { headers }); // reads the key into the cache
      asked = [];
      // Each instance polls once a second, and does other work of its own.
      await eventually(() => expect(asked.filter((name) => name === POLL).length).toBeGreaterThan(8));
      const idle = new Set(asked);
      asked = [];
      const startedAt = performance.now();
      const streams = new AbortController();
      await Promise.all(
        Array.from({ length: 100 }, () =>
          fetch(`${url}/v1/revocations/stream`, { headers, signal: streams.signal }),
        ),
      );
      for (let round = 0; round < 300; round += 1)
        expect((await fetch(`${url}/v1/revocations/snapshot`, { headers })).status).toBe(200);
      for (let round = 0; round < 500; round += 1) expect(await outcomes(token)).toEqual(all(ACCEPTED));
      streams.abort();
      expect(asked.filter((name) => !idle.has(name))).toEqual([]);
      const polls = asked.filter((name) => name === POLL).length;
      expect(polls).toBeLessThanOrEqual(2 * ((performance.now() - startedAt) / 1_000 + 1));
    } finally {
      pg.Client.prototype.query = query;
    }
  });

  describeWithNginx('nginx with the sidecar', () => {
    let service: Server;
    let seen: IncomingMessage['headers'][] = [];
    let nginx: Awaited<ReturnType<typeof startNginx>>;
    beforeAll(async () => {
      service = createServer((request, response) => {
        seen.push(request.headers);
        response.end('the service');
      }).listen(0, '127.0.0.1');
      await once(service, 'listening');
      const probe = createServer().listen(0, '127.0.0.1');
      await once(probe, 'listening');
      const { port } = probe.address() as AddressInfo;
      probe.close();
      nginx = await startNginx({
        port,
        sidecar: Number(new URL(verifiers.direct.url).port),
        service: (service.address() as AddressInfo).port,
      });
    });
    afterAll(async () => {
      await nginx.stop();
      service.close();
      service.closeAllConnections();
    });

    it('A service behind nginx gets the caller in headers, which no client can forge', async () => {
      const { id, token } = await login();
      seen = [];
      const headers = { authorization: `Bearer ${token}`, 'x-user-id': 'root', 'x-roles': 'admin' };
      const response = await fetch(`${nginx.url}/anything?x=1`, { method: 'POST', body: 'a body', headers });
      expect([response.status, await response.text()]).toEqual([200, 'the service']);
      expect(seen).toEqual([
        expect.objectContaining({ 'x-user-id': ALICE.id, 'x-session-id': id, 'x-roles': 'user' }),
      ]);
    });

    it('A refusal through nginx has the status, the headers and the body of the application', async () => {
      const { id, token } = await login();
      await end(id);
      await eventually(async () => expect(await verifiers.direct.verify(token)).toEqual(ENDED));
      seen = [];
      const ask = (headers: Record<string, string>) =>
        fetch(`${nginx.url}/x`, { method: 'POST', body: 'a body', headers });
      const ended = await ask({ authorization: `Bearer ${token}` });
      expect(ended.status).toBe(401);
      expect(ended.headers.get('www-authenticate')).toContain('session ended');
      expect(ended.headers.get('content-type')).toContain('application/problem+json');
      const problem = await a
        .client()
        .get('/v1/auth/whoami', { headers: { authorization: `Bearer ${token}` } });
      expect(await ended.json()).toEqual({
        ...problem.body,
        instance: expect.any(String),
        requestId: expect.any(String),
      });
      const other = (await login()).token;
      const statuses = [
        (await ask({})).status,
        (await ask({ authorization: `Bearer ${other}`, 'x-min-revocation-seq': 'x' })).status,
        (await ask({ authorization: `Bearer ${other}`, 'x-min-revocation-seq': '999999999' })).status,
      ];
      expect(statuses).toEqual([401, 400, 503]);
      expect(seen).toEqual([]);
    });
  });
});
