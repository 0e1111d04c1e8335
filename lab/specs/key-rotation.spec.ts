import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { rotateKeyFile } from '../../src/platform/keys/key-file.js';
import { generateKeyFile, keysOf, parseKeyFile, type KeyKind } from '../../src/platform/keys/key-format.js';
import { JWKS_MAX_AGE_S, KEPT_MS, MIN_LEAD_MS } from '../../src/platform/keys/key-schedule.js';
import { KeyFileWatcher, KeyStore } from '../../src/platform/keys/key-store.js';
import { ALICE, BOB, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import type { Client } from '../../test/support/client.js';
import { TestClock } from '../../test/support/clock.js';
import { read, signed } from '../../test/support/forge.js';
import { loggedIn } from '../../test/support/test-users.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
const LEAD = 15 * MINUTE;
/** The clock runs on during a test; this is the margin before an instant that matters. */
const MARGIN = 20 * SECOND;
const BOTH = ['signing', 'refresh'] as const;
const TIERS = ['/v1/probe/flags', '/v1/users/me'];
const ENV = {
  SESSION_IDLE_TIMEOUT: '400d',
  SESSION_LIFETIME: '400d',
  SESSION_LIMIT: '1000',
  REFRESH_GRACE: '60s',
};

/** An instance, and the step in which it reads the key file, which the test triggers. */
interface Instance extends TestApp {
  look(): Promise<void>;
}

/** Real: two instances with one PostgreSQL and (where there is one) Redis, and the key file between them. */
describe('keys that rotate while two instances serve', () => {
  const shared = process.env['TEST_REDIS_URL'] !== undefined;
  let folder: string;
  let file: string;
  let clock: TestClock;
  let a: Instance;
  let b: Instance;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'drawbridge-rotate-'));
    file = join(folder, 'keys.json');
    await writeFile(file, generateKeyFile('production'));
    await resetStores();
    clock = new TestClock();
    a = await start();
    b = shared ? await start() : a; // without Redis there may be one only
  });
  afterEach(async () => {
    await Promise.all([...new Set([a, b])].map((instance) => instance?.close()));
    await rm(folder, { recursive: true });
  });

  async function start(): Promise<Instance> {
    const keys = keysOf(parseKeyFile(await readFile(file, 'utf8')));
    const app = await startApp({ keys, clock, env: ENV });
    const settings = { keysFile: file, dataDir: folder, nodeEnv: 'production' } as const;
    const follower = new KeyFileWatcher(settings, app.get(KeyStore), clock, pino({ level: 'silent' }));
    return Object.assign(app, { look: () => follower.poll() });
  }

  const rotate = (kinds: readonly KeyKind[] = BOTH, lead: number | null = LEAD) =>
    rotateKeyFile(file, { kinds, now: clock.now(), lead });
  const allLook = () => Promise.all([a.look(), b.look()]);
  const jwks = async (instance: Instance) => {
    const { body } = await instance.client().get('/.well-known/jwks.json');
    return (body.keys as { kid: string }[]).map(({ kid }) => kid);
  };
  const kidOf = (client: Client) => read(client.accessToken!).header['kid'] as string;
  const tokenOf = ({ accessToken }: Client) => ({ authorization: `Bearer ${accessToken}` });

  /** Expects the same answer on each tier of each instance. */
  async function expectEverywhere(client: Client, answer: object): Promise<void> {
    for (const instance of [a, b])
      for (const path of TIERS)
        expect(await instance.client().get(path, { headers: tokenOf(client) })).toMatchObject(answer);
  }

  it('publishes the next key before it signs, early enough for clients with a cached JWKS [KEY-02, KEY-03]', async () => {
    const [old] = await jwks(a);
    await rotate(['signing'], MIN_LEAD_MS);
    const { headers } = await a.client().get('/.well-known/jwks.json');
    await a.look();
    const [next, ...rest] = await jwks(a);
    expect(rest).toEqual([old]);
    expect(next).not.toBe(old);
    // A client that has just fetched the keys without it fetches them again before it signs.
    expect(headers['cache-control']).toBe(`public, max-age=${JWKS_MAX_AGE_S}`);
    clock.advance(JWKS_MAX_AGE_S * SECOND + MARGIN);
    expect(kidOf(await loggedIn(a, ALICE))).toBe(old);
    clock.advance(MIN_LEAD_MS - JWKS_MAX_AGE_S * SECOND - MARGIN);
    expect(kidOf(await loggedIn(a, ALICE))).toBe(next);
    const { body } = await a.client().get('/.well-known/jwks.json');
    for (const jwk of body.keys)
      expect(Object.keys(jwk).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
  });

  it('switches all instances at one instant, whenever each has read the file, and each accepts the others’ tokens [KEY-02]', async () => {
    const before = await loggedIn(a, ALICE);
    await rotate();
    await a.look();
    clock.advance(LEAD - MARGIN);
    const [next] = await jwks(a);
    const early = await loggedIn(a, ALICE);
    expect(kidOf(early)).toBe(kidOf(before));
    await b.look();
    await expectEverywhere(early, { status: 200 });

    clock.advance(MARGIN);
    for (const instance of [a, b]) {
      const client = await loggedIn(instance, ALICE);
      expect(kidOf(client)).toBe(next);
      await expectEverywhere(client, { status: 200 });
    }
    await expectEverywhere(early, { status: 200 });
  });

  it('removes the retired key once its last token has expired; a client with such a token is told to refresh [KEY-02]', async () => {
    await rotate();
    await allLook();
    clock.advance(LEAD - MARGIN);
    const last = await loggedIn(a, ALICE);
    const [next, old] = await jwks(a);
    expect(kidOf(last)).toBe(old);
    const { exp } = read(last.accessToken!).claims as { exp: number };

    clock.advance(exp * SECOND - clock.now() - MARGIN);
    await expectEverywhere(last, { status: 200 });
    clock.advance(MARGIN);
    await expectEverywhere(last, { status: 401, body: { code: 'auth.token_expired' } });
    clock.advance(KEPT_MS.signing);
    expect(await jwks(a)).toEqual([next]);
    await expectEverywhere(last, { status: 401, body: { code: 'auth.token_expired' } });

    // The next rotation removes it from the file, and its kid is still remembered.
    await rotate(['signing']);
    await allLook();
    expect(await jwks(b)).not.toContain(old);
    await expectEverywhere(last, { status: 401, body: { code: 'auth.token_expired' } });
    expect((await last.at(b).refresh()).status).toBe(200);
    await expectEverywhere(last, { status: 200 });
  });

  it('logs no client out: neither those that refresh all the time, on any instance, nor those that return after a year [KEY-02]', async () => {
    const away = await Promise.all([loggedIn(a, ALICE), loggedIn(b, BOB, 'cookie')]);
    const busy = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        loggedIn(index % 2 ? a : b, ALICE, index % 4 < 2 ? 'bearer' : 'cookie'),
      ),
    );
    const kids = new Set<string>();
    const work = async (client: Client, index: number) => {
      const [here, there] = index % 2 ? [a, b] : [b, a];
      const [again, answer] = [client.copy(), await client.at(here).refresh()];
      expect(answer.status).toBe(200);
      const retried = await again.at(there).refresh(); // its answer got lost
      expect(retried.status).toBe(200);
      for (const path of TIERS) expect((await client.at(there).get(path)).status).toBe(200);
      if (client.accessToken) kids.add(kidOf(client));
    };
    for (let rotation = 0; rotation < 5; rotation++) {
      const everybody = (move: () => Promise<unknown>) => Promise.all([...busy.map(work), move()]);
      await everybody(() => rotate());
      await everybody(() => a.look());
      await everybody(() => b.look());
      clock.advance(LEAD - MARGIN);
      await everybody(async () => undefined);
      clock.advance(MARGIN);
      await everybody(async () => undefined);
      clock.advance(78 * DAY);
    }
    expect(kids.size).toBe(6);
    for (const client of away) {
      const stale = await client.at(b).get(TIERS[0]!);
      expect(stale).toMatchObject({ status: 401, body: { code: 'auth.token_expired' } });
      expect((await client.refresh()).status).toBe(200);
      for (const path of TIERS) expect((await client.at(a).get(path)).status).toBe(200);
    }
  });

  it('answers a retry after the change with another token of the same position, and both are good', async () => {
    const alice = await loggedIn(a, ALICE);
    await rotate(['refresh']);
    await allLook();
    clock.advance(LEAD - MARGIN);
    const retry = alice.copy();
    expect((await alice.refresh()).status).toBe(200);
    clock.advance(2 * MARGIN);
    expect((await retry.at(b).refresh()).status).toBe(200);
    expect(retry.refreshToken).not.toBe(alice.refreshToken);
    const place = ({ refreshToken }: Client) => refreshToken!.slice(0, 30);
    expect(place(retry)).toBe(place(alice));

    clock.advance(2 * MINUTE);
    const [one, other] = [alice.copy(), retry.copy()];
    expect((await one.at(b).refresh()).status).toBe(200);
    expect((await other.at(a).refresh()).status).toBe(200);
    await expectEverywhere(other, { status: 200 });
  });

  it('still detects a theft across the change', async () => {
    const alice = await loggedIn(a, ALICE);
    const thief = Object.assign(alice.copy(), { deviceToken: undefined });
    expect((await alice.refresh()).status).toBe(200);
    await rotate(['refresh']);
    await allLook();
    clock.advance(LEAD);
    expect((await alice.refresh()).status).toBe(200);
    expect(await thief.at(b).refresh()).toMatchObject({ status: 401, body: { code: 'auth.session_ended' } });
  });

  it('refuses tokens of a leaked signing key at once, even cached ones, and logs no client out', async () => {
    const alice = await loggedIn(a, ALICE);
    const [leaked] = keysOf(parseKeyFile(await readFile(file, 'utf8'))).signing;
    const { header, claims } = read(alice.accessToken!);
    const forged = Object.assign(a.client(), {
      accessToken: signed(header, { ...claims, roles: ['user', 'admin'] }, leaked!.privateKey),
    });
    await expectEverywhere(alice, { status: 200 });
    await expectEverywhere(forged, { status: 200 });

    await rotate(['signing'], null);
    await allLook();
    for (const client of [alice, forged])
      await expectEverywhere(client, { status: 401, body: { code: 'auth.token_expired' } });
    const [fresh, ...others] = await jwks(b);
    expect(others).toEqual([]);
    expect(fresh).not.toBe(leaked!.kid);
    // The holder of the leaked key can end no session with it either.
    await a.client().post('/v1/auth/logout', undefined, { headers: tokenOf(forged) });
    expect((await alice.at(b).refresh()).status).toBe(200);
    expect(kidOf(alice)).toBe(fresh);
    await expectEverywhere(alice, { status: 200 });
  });

  it('replaces a key by another key of the same name', async () => {
    const alice = await loggedIn(a, ALICE);
    await expectEverywhere(alice, { status: 200 });
    const [mine, other] = [await readFile(file, 'utf8'), generateKeyFile('production')].map(parseKeyFile);
    const privateKey = other!.signing[0]!.privateKey;
    await writeFile(
      file,
      JSON.stringify({ ...mine!, retired: undefined, signing: [{ ...mine!.signing[0], privateKey }] }),
    );
    await allLook();
    await expectEverywhere(alice, { status: 401, body: { code: 'auth.invalid_token' } });
  });

  it('ends sessions that a leaked refresh secret could have forged; access tokens expire by themselves', async () => {
    const alice = await loggedIn(a, ALICE);
    await rotate(['refresh'], null);
    await allLook();
    expect(await alice.copy().at(b).refresh()).toMatchObject({
      status: 401,
      body: { code: 'auth.invalid_token' },
    });
    await expectEverywhere(alice, { status: 200 });
    expect((await (await loggedIn(b, ALICE)).at(a).refresh()).status).toBe(200);
  });

  it('refuses an unknown kid without a hint to refresh', async () => {
    const alice = await loggedIn(a, ALICE);
    await rotate(['signing'], null);
    await allLook();
    const { header, claims } = read(alice.accessToken!);
    const stranger = Object.assign(a.client(), { accessToken: signed({ ...header, kid: 'never' }, claims) });
    await expectEverywhere(stranger, { status: 401, body: { code: 'auth.invalid_token' } });
    const elsewhere = Object.assign(a.client(), { accessToken: signed(header, { ...claims, aud: 'other' }) });
    await expectEverywhere(elsewhere, { status: 401, body: { code: 'auth.invalid_token' } });
  });
});
