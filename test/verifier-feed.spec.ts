import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { RevocationFeed } from '../src/auth/revocation-feed/revocation-feed.service.js';
import { FeedLog, MAX_KEPT_EVENTS } from '../src/auth/revocation-feed/feed-log.js';
import { random } from '../src/platform/runtime/random.js';
import { DenialList } from '../src/sessions/revocation/denial-list.js';
import { RevocationService } from '../src/sessions/revocation/revocation.service.js';
import { RevocationSubscriber } from '../src/sessions/revocation/revocation-subscriber.js';
import { ADMIN, ALICE, resetStores, startApp, type TestApp } from './support/app.js';
import { createKey, machineOf, machineWith, type Machine } from './support/api-keys.js';
import { SteadyClock } from './support/clock.js';
import { FeedReader } from './support/feed-reader.js';
import { createUser, loggedIn, type Person } from './support/test-users.js';
import { eventually } from './support/waiting.js';

const SNAPSHOT = '/v1/revocations/snapshot';
const STREAM = '/v1/revocations/stream';

const sha256 = (...parts: (string | Buffer)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const read = (jws: string) => {
  const [header, claims] = jws
    .split('.', 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>);
  return { header: header!, claims: claims! };
};
/** The bytes that the digest covers, as `docs/reference/revocation-feed.md` defines them. */
const entriesIn = (text: string) => text.slice(text.indexOf('"entries":') + '"entries":'.length, -1);

/** Real: an instance over HTTP, PostgreSQL. Injected: the time by which an instance counts as blind. */
describe('the revocation feed for verifiers', () => {
  let app: TestApp;
  let clock: SteadyClock;
  let admin: Person;
  let machine: Machine;
  let url: string;
  const readers: FeedReader[] = [];

  beforeAll(async () => {
    await resetStores();
    clock = new SteadyClock();
    app = await startApp({ clock, env: { REDIS_URL: undefined } });
    await app.app.listen(0, '127.0.0.1');
    url = (await app.app.getUrl()).replace('localhost', '127.0.0.1');
    admin = await loggedIn(app, ADMIN);
    machine = await machineOf(app, admin, { scopes: ['revocations:read'] });
  });
  beforeEach(() => app.get(RevocationSubscriber).catchUp());
  afterEach(() => {
    jest.restoreAllMocks();
    for (const reader of readers.splice(0)) reader.close();
  });
  afterAll(() => app.close());

  const follow = async (cursor?: string) => {
    const reader = await FeedReader.open(url + STREAM, {
      'x-api-key': machine.apiKey!,
      ...(cursor !== undefined && { 'last-event-id': cursor }),
    });
    readers.push(reader);
    return reader;
  };
  const snapshot = async () => {
    const { status, body, text } = await machine.get(SNAPSHOT);
    expect(status).toBe(200);
    return { body, text, cursor: body.cursor as string, claims: read(body.statement).claims };
  };
  const endOne = async (person?: Person) => {
    const { id } = person ?? (await loggedIn(app, ALICE));
    const order = { reason: 'admin', actorId: null, context: null } as const;
    return { id, seq: (await app.get(RevocationService).endSession(id, order))!.seq };
  };
  /** A poll makes the heartbeat; the interval between heartbeats is judged by the steady time. */
  const beat = async () => {
    clock.advanceSteadily(1_000);
    await app.get(RevocationSubscriber).catchUp();
  };
  const isAuthentic = async (jws: string) => {
    const { body } = await app.client().get('/.well-known/jwks.json');
    const key = body.keys.find(({ kid }: { kid: unknown }) => kid === read(jws).header['kid']);
    const [content, signature] = [jws.slice(0, jws.lastIndexOf('.')), jws.slice(jws.lastIndexOf('.') + 1)];
    return verify(
      'sha256',
      Buffer.from(content),
      { key: createPublicKey({ key, format: 'jwk' }), dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
  };

  it('The snapshot has every live denial, and a signed statement covers its bytes', async () => {
    const { id, seq } = await endOne();
    const { body, text, claims } = await snapshot();
    expect(body.entries).toContainEqual({
      seq,
      kind: 'session',
      subjects: [id],
      reason: 'admin',
      notBefore: null,
      createdAt: expect.any(Number),
      expiresAt: expect.any(Number),
    });
    expect(body.entries).toHaveLength(app.get(DenialList).size);
    expect(read(body.statement).header).toMatchObject({ alg: 'ES256', typ: 'revocation-snapshot+jwt' });
    expect(await isAuthentic(body.statement)).toBe(true);
    expect(claims).toMatchObject({
      iss: 'drawbridge',
      digest: sha256(entriesIn(text)).toString('base64url'),
      time: expect.any(Number),
    });
    expect(`${claims['instance'] as string}.${claims['position'] as number}`).toBe(body.cursor);
  });

  it('A revocation reaches an open stream with its number, and the chain shows that none is missing', async () => {
    const { cursor, claims } = await snapshot();
    const reader = await follow(cursor);
    const ended = [await endOne(), await endOne(), await endOne()];
    const events = await reader.until('revocation', 3);
    const lines = events.map(({ data }) => JSON.parse(data) as { seq: number; subjects: string[] });
    expect(lines.map(({ seq, subjects: [id] }) => ({ seq, id }))).toEqual(
      ended.map(({ seq, id }) => ({ seq, id })),
    );
    await beat();
    const last = events.at(-1)!.id;
    const heartbeat = await eventually(() => {
      const [found] = reader.of('heartbeat').filter(({ id }) => id === last);
      if (!found) throw new Error('no heartbeat at this position yet');
      return found;
    });
    const chain = events.reduce(
      (before, { data }) => sha256(before, data),
      Buffer.from(claims['chain'] as string, 'base64url'),
    );
    const facts = read(heartbeat.data);
    expect(facts.header).toMatchObject({ alg: 'ES256', typ: 'revocation-heartbeat+jwt' });
    expect(facts.claims).toMatchObject({
      position: (claims['position'] as number) + 3,
      chain: chain.toString('base64url'),
    });
    expect(await isAuthentic(heartbeat.data)).toBe(true);
  });

  it('A follower that was away gets the events after its cursor, each once, and then the new ones', async () => {
    const { cursor } = await snapshot();
    const missed = await endOne();
    const reader = await follow(cursor);
    const later = await endOne();
    const events = await reader.until('revocation', 2);
    expect(events.map(({ data }) => (JSON.parse(data) as { seq: number }).seq)).toEqual([
      missed.seq,
      later.seq,
    ]);
    const again = await follow(events[0]!.id);
    expect((await again.until('revocation')).map(({ id }) => id)).toEqual([events[1]!.id]);
  });

  it.each([
    ['of another process', () => `${random.secret()}.0`],
    ['of the future', (cursor: string) => cursor.replace(/\d+$/, (number) => String(Number(number) + 1))],
    ['of no form', () => 'x'],
    ['with a number of another spelling', (cursor: string) => cursor.replace(/(\d+)$/, '0$1')],
  ])('A cursor %s is answered by list_again, and the stream ends', async (_what, spoil) => {
    const reader = await follow(spoil((await snapshot()).cursor));
    await eventually(() => expect(reader.hasEnded).toBe(true));
    expect(reader.events.map(({ type }) => type)).toEqual(['list_again']);
  });

  it('A heartbeat states a later time each second, and up to which number the list is complete', async () => {
    const { seq } = await endOne();
    const reader = await follow();
    await eventually(async () => {
      await beat();
      expect(read(reader.of('heartbeat').at(-1)!.data).claims['seq']).toBeGreaterThanOrEqual(seq);
    });
    const times = reader.of('heartbeat').map(({ data }) => read(data).claims['time'] as number);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
  });

  it('An instance that cannot prove that its list is complete sends no heartbeat, and answers no snapshot', async () => {
    const reader = await follow();
    await beat();
    await reader.until('heartbeat');
    const subscriber = app.get(RevocationSubscriber);
    const poll = jest
      .spyOn(subscriber as unknown as { poll(): Promise<void> }, 'poll')
      .mockRejectedValue(new Error('PostgreSQL is away'));
    clock.advanceSteadily(5_001);
    await subscriber.catchUp().catch(() => undefined);
    expect(await machine.get(SNAPSHOT)).toMatchObject({
      status: 503,
      body: { code: 'auth.unavailable' },
      headers: { 'retry-after': '1' },
    });
    expect(reader.of('heartbeat')).toHaveLength(1);
    poll.mockRestore();
    await beat();
    await reader.until('heartbeat', 2);
    await snapshot();
  });

  it('A thousand followers cost one signature per heartbeat, and no follower stays after its stream has closed', async () => {
    const feed = app.get(RevocationFeed) as unknown as { statements: { heartbeat(): string }; log: FeedLog };
    const signed = jest.spyOn(feed.statements, 'heartbeat');
    const streams = Array.from({ length: 1_000 }, () => app.get(RevocationFeed).stream().subscribe());
    const reader = await follow();
    expect(feed.log.followerCount).toBe(1_001);
    await beat();
    await reader.until('heartbeat');
    expect(signed).toHaveBeenCalledTimes(1);
    for (const stream of streams) stream.unsubscribe();
    reader.close();
    await eventually(() => expect(feed.log.followerCount).toBe(0));
    await beat();
    expect(signed).toHaveBeenCalledTimes(1);
  });

  it('Snapshots for a thousand verifiers are made once', async () => {
    const listed = jest.spyOn(app.get(DenialList), 'notices');
    await endOne();
    const bodies = Array.from({ length: 1_000 }, () => app.get(RevocationFeed).snapshot());
    expect(new Set(bodies).size).toBe(1);
    expect(listed).toHaveBeenCalledTimes(1);
  });

  it('The feed admits no person, whatever the roles, and no key without the scope', async () => {
    const user = await loggedIn(app, await createUser(app));
    const other = await machineOf(app, admin, { scopes: ['probe:read'] });
    const code = async (client: { get: Person['get'] }, path: string) => (await client.get(path)).body.code;
    for (const path of [SNAPSHOT, STREAM]) {
      expect(await code(admin, path)).toBe('auth.forbidden');
      expect(await code(user, path)).toBe('auth.forbidden');
      expect(await code(app.client(), path)).toBe('auth.unauthenticated');
      expect(await code(other, path)).toBe('auth.insufficient_scope');
      expect(await code(machineWith(app, 'x'), path)).toBe('auth.invalid_key');
    }
    expect(
      await user.post('/v1/api-keys', { name: 'a verifier', scopes: ['revocations:read'] }),
    ).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    expect((await createKey(admin, { scopes: ['revocations:read'] })).key).toBeTruthy();
  });
});

describe('a verifier that was away', () => {
  it('resumes from the oldest kept event over HTTP, and no connection counts it as one that does not read', async () => {
    const app = await startApp({ env: { REDIS_URL: undefined } });
    try {
      await app.app.listen(0, '127.0.0.1');
      const url = (await app.app.getUrl()).replace('localhost', '127.0.0.1');
      const { apiKey } = await machineOf(app, await loggedIn(app, ADMIN), { scopes: ['revocations:read'] });
      const { log } = app.get(RevocationFeed) as unknown as { log: FeedLog };
      const cursor = log.cursor;
      for (let seq = 1; seq <= MAX_KEPT_EVENTS; seq += 1)
        log.append({ ...NOTICE, seq, subjects: [random.uuidAt(seq)] });
      const reader = await FeedReader.open(url + STREAM, { 'x-api-key': apiKey!, 'last-event-id': cursor });
      expect(await reader.until('revocation', MAX_KEPT_EVENTS)).toHaveLength(MAX_KEPT_EVENTS);
      expect(reader.hasEnded).toBe(false);
      reader.close();
    } finally {
      await app.close();
    }
  });
});

const NOTICE = {
  kind: 'session' as const,
  tokenId: null,
  reason: 'admin' as const,
  notBefore: null,
  createdAt: 0,
  expiresAt: 1,
};

describe('the log of the revocation feed', () => {
  const notice = (seq: number) => ({ ...NOTICE, seq, subjects: [random.uuidAt(seq)] });

  it('The log keeps the last events only, and refuses to resume before the oldest kept one', () => {
    const log = new FeedLog('one');
    for (let seq = 1; seq <= MAX_KEPT_EVENTS + 5; seq += 1) log.append(notice(seq));
    const resumed: string[] = [];
    expect(log.follow('one.4', () => undefined)).toBeNull();
    log.follow('one.5', ({ id }) => void resumed.push(id!))!();
    expect([resumed.length, resumed[0], resumed.at(-1)]).toEqual([
      MAX_KEPT_EVENTS,
      'one.6',
      `one.${MAX_KEPT_EVENTS + 5}`,
    ]);
  });

  it('A heartbeat goes to many followers in slices, and to each one before the next event', async () => {
    const log = new FeedLog('one');
    const received = Array.from({ length: 120 }, () => [] as string[]);
    for (const events of received) log.follow(undefined, ({ type }) => void events.push(type!));
    const counted = () => received.filter((events) => events.length > 0).length;
    log.publishHeartbeat('x');
    expect(counted()).toBe(50);
    log.append(notice(1));
    expect(received.filter((events) => events.join() !== 'heartbeat,revocation')).toEqual([]);
    log.publishHeartbeat('y');
    await eventually(() => expect(received.every((events) => events.length === 3)).toBe(true));
  });

  it('An access token that is denied is published by its id, not by its session', () => {
    const log = new FeedLog('one');
    const lines: unknown[] = [];
    log.follow(undefined, ({ data }) => void lines.push(JSON.parse(data as string)));
    log.append({ ...notice(1), kind: 'token', tokenId: 'a-jti' });
    expect(lines).toEqual([expect.objectContaining({ kind: 'token', subjects: ['a-jti'] })]);
  });
});
