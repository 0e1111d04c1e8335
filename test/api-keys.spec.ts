import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { DataSource } from 'typeorm';
import { ApiKeyFormat } from '../src/auth/api-keys/api-key-format.js';
import { ApiKeysService } from '../src/auth/api-keys/api-keys.service.js';
import { ApiKeyCheck } from '../src/auth/api-keys/check/api-key-check.js';
import { ApiKeyUses } from '../src/auth/api-keys/check/api-key-uses.js';
import { CachePort } from '../src/platform/cache/cache-port.js';
import { random } from '../src/platform/runtime/random.js';
import { PRODUCT } from '../src/product.js';
import { createKey, machineOf, machineWith, type Machine } from './support/api-keys.js';
import { ADMIN, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Client } from './support/client.js';
import { Mailbox } from './support/mailbox.js';
import { createUser, loggedIn, type TestUser } from './support/test-users.js';

const FLAGS = '/v1/probe/flags';
const INVALID = { status: 401, body: { code: 'auth.invalid_key' } };
const ACCEPTED = { status: 200 };
const MINUTE = 60_000;

/** Real: PostgreSQL, the cache, the application over HTTP. Injected: time. */
describe('an API key', () => {
  let app: TestApp;
  let mailbox: Mailbox;
  let owner: TestUser;
  let machine: Machine;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { RATE_LIMITS: 'on' } });
    mailbox = new Mailbox(app);
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    owner = await loggedIn(app, await createUser(app));
    machine = await machineOf(app, owner);
  });

  const listed = async (id = machine.keyId) => {
    const { body } = await owner.get('/v1/api-keys');
    return body.items.find((key: { id: string }) => key.id === id);
  };
  const rotate = (overlapSeconds: number, client: Client = owner, id = machine.keyId) =>
    client.post(`/v1/api-keys/${id}/rotate`, { overlapSeconds });

  describe('that is created', () => {
    it('is shown once, and stored as a digest only [APK-01]', async () => {
      const { body } = await owner.post('/v1/api-keys', { name: 'CI', scopes: ['probe:read'] });
      expect(body).toMatchObject({
        name: 'CI',
        scopes: ['probe:read'],
        status: 'active',
        key: expect.any(String),
      });
      const { key, ...rest } = body;
      expect(await listed(body.id)).toEqual(rest);
      const [row] = await app.query<{ text: string; digest: Buffer }>(
        `select k::text as text, digest from api_keys k where id = $1`,
        [body.id],
      );
      expect(row!.text).not.toContain(key.slice(-36));
      expect(row!.digest.toString('base64')).toBe(app.get(ApiKeyFormat).parse(key)!.digest);
    });

    it('is told to its owner by mail, and recorded with its scopes but without its text [APK-04]', async () => {
      const { id, key } = await createKey(owner, { name: 'https://evil.example' });
      const mails = (await mailbox.collect()).filter(({ to }) => to === owner.email);
      expect(mails.map(({ subject }) => subject)).toEqual([
        'An API key was created',
        'An API key was created',
      ]);
      expect(mails[1]!.text).not.toContain('https://evil.example');
      expect(mails[1]!.text).not.toContain(key.slice(-36));
      const [event] = await app.query(
        `select details::text, session_id from audit_events where type = 'api_key_created' and details->>'apiKey' = $1`,
        [id],
      );
      expect(event).toMatchObject({ session_id: owner.id });
      expect(String(event!['details'])).not.toContain(key.slice(-36));
    });

    it.each([
      ['a name that is empty', { name: '' }],
      ['a name of 101 characters', { name: 'x'.repeat(101) }],
      ['no scope', { scopes: [] }],
      ['an unknown scope', { scopes: ['probe:read', 'payments:steal'] }],
      ['a scope in another spelling', { scopes: ['PROBE:READ'] }],
      ['a scope for admins', { scopes: ['probe:admin'] }],
      ['a time that is over', { expiresAt: '2020-01-01T00:00:00Z' }],
      ['a date without a time', { expiresAt: '2030-01-01' }],
      ['a network that is none', { networks: ['192.0.2.0/33'] }],
      ['a network of all addresses', { networks: ['0.0.0.0/0'] }],
      ['twenty-one networks', { networks: Array.from({ length: 21 }, (_, at) => `192.0.2.${at}`) }],
      ['a limit of no requests', { requestsPerMinute: 0 }],
      ['an id of its own', { id: random.uuid() }],
      ['another owner', { userId: random.uuid() }],
    ])('with %s is refused as invalid', async (_, wanted) => {
      expect(
        await owner.post('/v1/api-keys', { name: 'x', scopes: ['probe:read'], ...wanted }),
      ).toMatchObject({ status: 400, body: { code: 'request.invalid', errors: [expect.anything()] } });
    });

    it('needs a recent proof of identity, and so do its rotation and its end [APK-04]', async () => {
      app.clock.advance(6 * MINUTE);
      await owner.refresh();
      const asked = { status: 401, body: { code: 'auth.reauthentication_required' } };
      expect(await owner.post('/v1/api-keys', { name: 'x', scopes: ['probe:read'] })).toMatchObject(asked);
      expect(await rotate(60)).toMatchObject(asked);
      expect(await owner.delete(`/v1/api-keys/${machine.keyId}`)).toMatchObject(asked);
      expect((await owner.get('/v1/api-keys')).status).toBe(200);
    });

    it('is refused beyond API_KEY_LIMIT, also when many are created at once', async () => {
      const answers = await Promise.all(
        Array.from({ length: 30 }, () => owner.post('/v1/api-keys', { name: 'x', scopes: ['probe:read'] })),
      );
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(24);
      expect(answers.filter(({ status }) => status === 409)).toHaveLength(6);
      expect((await owner.delete(`/v1/api-keys/${machine.keyId}`)).status).toBe(200);
      await createKey(owner);
    });
  });

  describe('that is presented', () => {
    it('acts for its owner within its scopes, on both tiers [APK-02]', async () => {
      expect(await machine.get(FLAGS)).toMatchObject(ACCEPTED);
      expect((await machine.pay(random.uuid())).status).toBe(201);
      expect((await owner.get('/v1/probe/payments')).body.items).toHaveLength(1);
      const reader = await machineOf(app, owner, { scopes: ['probe:read'] });
      expect(await reader.pay(random.uuid())).toMatchObject({
        status: 403,
        body: { code: 'auth.insufficient_scope', scope: 'probe:write' },
      });
    });

    it('is refused without I/O when it is mistyped, of another environment, or no key at all', async () => {
      const { answers } = app.get(ApiKeyCheck);
      const before = { ...answers };
      const { apiKey } = machine;
      for (const text of ['x', 'dbk_t', apiKey!.slice(1), apiKey!.replace('_t', '_p'), apiKey!.toLowerCase()])
        expect(await machineWith(app, text).get(FLAGS)).toMatchObject(INVALID);
      expect(answers).toEqual(before);
    });

    it('is refused with the same answer, whatever is wrong with it [APK-03]', async () => {
      const ended = await machineOf(app, owner);
      await owner.delete(`/v1/api-keys/${ended.keyId}`);
      const elsewhere = await machineOf(app, owner, { networks: ['192.0.2.0/24', '2001:db8::/32'] });
      const expired = await machineOf(app, owner);
      await app.query(`update api_keys set expires_at = now() where id = $1`, [expired.keyId]);
      const unknown = machineWith(app, app.get(ApiKeyFormat).mint(random.uuid()).text);
      const wrong = machineWith(app, app.get(ApiKeyFormat).mint(machine.keyId).text);
      const bodies = [];
      for (const client of [ended, elsewhere, expired, unknown, wrong]) {
        const answer = await client.get(FLAGS);
        expect(answer).toMatchObject(INVALID);
        const { requestId: _, instance: __, ...body } = answer.body;
        bodies.push(body);
      }
      expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
    });

    it('in the URL, in a cookie, in the body or as a bearer token is not seen [APK-03]', async () => {
      const key = machine.apiKey!;
      const client = app.client();
      expect(await client.get(`${FLAGS}?api_key=${key}&x-api-key=${key}`)).toMatchObject({
        status: 401,
        body: { code: 'auth.unauthenticated' },
      });
      const elsewhere: Record<string, string>[] = [
        { authorization: `Bearer ${key}` },
        { authorization: `ApiKey ${key}` },
        { cookie: `x-api-key=${key}` },
      ];
      for (const headers of elsewhere) expect((await client.get(FLAGS, { headers })).status).toBe(401);
    });

    it('is believed from the cache for as long as a lease lasts, and then read again', async () => {
      const { answers } = app.get(ApiKeyCheck);
      await machine.get(FLAGS);
      const before = answers.postgres;
      for (let count = 0; count < 5; count++) await machine.get(FLAGS);
      expect(answers.postgres).toBe(before);
      app.clock.advance(31_000);
      await machine.get(FLAGS);
      expect(answers.postgres).toBe(before + 1);
    });

    it('that a writer of the cache has invented is not believed: an entry needs the MAC of the service', async () => {
      const cache = app.get(CachePort);
      const id = random.uuid();
      const { text, digest } = app.get(ApiKeyFormat).mint(id);
      const now = app.clock.now();
      const snapshot = {
        id,
        userId: owner.userId,
        name: 'x',
        scopes: ['probe:read'],
        networks: [],
        requestsPerMinute: null,
        digest,
        rotation: 0,
        rotatedAt: null,
        previousDigest: null,
        previousUntil: null,
        createdAt: now,
        expiresAt: null,
        ownerRoles: ['user'],
        ended: null,
      };
      for (const mac of ['', 'x', 'A'.repeat(43)]) {
        await cache.setMany([[`session:${id}`, [3, now + 20_000, JSON.stringify(snapshot), mac]]], 60_000);
        expect(await machineWith(app, text).get(FLAGS)).toMatchObject(INVALID);
      }
      // The entry of another key does not help either.
      await machine.get(FLAGS);
      const [entry] = await cache.readMany([`session:${machine.keyId}`]);
      await cache.setMany([[`session:${id}`, JSON.parse(entry!)]], 60_000);
      expect(await machineWith(app, text).get(FLAGS)).toMatchObject(INVALID);
    });

    it('waits for the revocation that the request names, and refuses a number that does not exist', async () => {
      const floor = (seq: string) => machine.get(FLAGS, { headers: { 'x-min-revocation-seq': seq } });
      const { body } = await rotate(60);
      expect(await floor(String(body.receipt.seq))).toMatchObject(ACCEPTED);
      expect(await floor('x')).toMatchObject({ status: 400 });
      expect(await floor('999999999')).toMatchObject({ status: 503 });
    });

    it('loses a scope for admins with the role of its owner', async () => {
      const chief = await loggedIn(app, await createUser(app, ['user', 'admin']));
      const watcher = await machineOf(app, chief, { scopes: ['probe:admin'] });
      expect(await watcher.get('/v1/probe/caller')).toMatchObject({
        status: 200,
        body: { kind: 'api_key', id: watcher.keyId, userId: chief.userId },
      });
      const admin = await loggedIn(app, ADMIN);
      await admin.put(`/v1/admin/users/${chief.userId}/roles`, { roles: ['user'] });
      expect(await watcher.get('/v1/probe/caller')).toMatchObject({
        status: 403,
        body: { code: 'auth.insufficient_scope' },
      });
    });

    it('works only from its networks, and from the other spelling of an address', async () => {
      const local = await machineOf(app, owner, { networks: ['127.0.0.0/8'] });
      expect(await local.get(FLAGS)).toMatchObject(ACCEPTED);
      const remote = await machineOf(app, owner, { networks: ['198.51.100.7', '2001:db8::/32'] });
      expect(await remote.get(FLAGS)).toMatchObject(INVALID);
    });

    it('has its own limit of requests, and the headers say what is left of it [APK-03]', async () => {
      const slow = await machineOf(app, owner, { requestsPerMinute: 3 });
      const first = await slow.get(FLAGS);
      expect(first.headers['ratelimit-policy']).toBe('"api-key";q=3;w=60, "caller";q=600;w=60');
      expect(first.headers['ratelimit']).toMatch(/^"api-key";r=2;t=\d+, "caller";r=599;t=\d+$/);
      await slow.pay(random.uuid());
      await slow.get(FLAGS);
      const refused = await slow.get(FLAGS);
      expect(refused).toMatchObject({ status: 429, body: { code: 'request.rate_limited' } });
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      expect(await machine.get(FLAGS)).toMatchObject(ACCEPTED);
      app.clock.advance(MINUTE + 1);
      expect(await slow.get(FLAGS)).toMatchObject(ACCEPTED);
    });
  });

  describe('whose use is recorded', () => {
    it('is counted by the store that answered the check', async () => {
      await machine.get(FLAGS);
      const { text } = await app.client().get('/metrics');
      expect(text).toContain(`${PRODUCT.metricPrefix}api_key_checks_total{answered_by="postgres"}`);
    });

    it('shows when it was last used, and each new network is an audit event', async () => {
      const events = async () =>
        app.query(`select details from audit_events where type = 'api_key_new_address' and user_id = $1`, [
          owner.userId,
        ]);
      expect(await listed()).not.toHaveProperty('lastUsedAt');
      await machine.get(FLAGS);
      await machine.get(FLAGS);
      await app.get(ApiKeyUses).flush();
      expect(await listed()).toHaveProperty('lastUsedAt');
      expect(await events()).toEqual([{ details: { apiKey: machine.keyId, network: '127.0.0.1' } }]);
      app.clock.advance(MINUTE);
      await machine.get(FLAGS);
      await app.get(ApiKeyUses).flush();
      expect(await events()).toHaveLength(1);
    });

    it('from ever new networks fills the table only up to a limit, and forgets no use', async () => {
      const uses = app.get(ApiKeyUses);
      const caller = {
        kind: 'api_key',
        id: machine.keyId,
        userId: owner.userId,
        roles: [],
        name: '',
        rotation: 0,
      } as const;
      for (let at = 0; at < 130; at++) {
        uses.note(caller, `198.51.${at}.1`);
        if (at % 10 === 0) await uses.flush();
      }
      await uses.flush();
      const [{ count, others }] = (await app.query(
        `select count(*)::int as count, count(*) filter (where network = 'others')::int as others
         from api_key_uses where key_id = $1`,
        [machine.keyId],
      )) as [{ count: number; others: number }];
      expect(count).toBeLessThanOrEqual(110);
      expect(others).toBe(1);
    });

    it('is kept for the next flush when PostgreSQL fails', async () => {
      const uses = app.get(ApiKeyUses);
      await machine.get(FLAGS);
      jest.spyOn(app.get(DataSource), 'transaction').mockRejectedValueOnce(new Error('away'));
      await expect(uses.flush()).rejects.toThrow('away');
      expect(await listed()).not.toHaveProperty('lastUsedAt');
      await uses.flush();
      expect(await listed()).toHaveProperty('lastUsedAt');
    });

    it('of a key that was removed meanwhile is dropped, and of the others kept', async () => {
      const uses = app.get(ApiKeyUses);
      const gone = {
        kind: 'api_key',
        id: random.uuid(),
        userId: owner.userId,
        roles: [],
        name: '',
        rotation: 0,
      } as const;
      uses.note(gone, '127.0.0.1');
      await machine.get(FLAGS);
      await uses.flush();
      expect(await listed()).toHaveProperty('lastUsedAt');
    });
  });

  describe('that is rotated', () => {
    it('has a new secret, and the former one works for the overlap, with headers that say until when', async () => {
      const { status, body } = await rotate(3_600);
      expect({ status, body }).toMatchObject({
        status: 200,
        body: { id: machine.keyId, receipt: { status: 'applied' } },
      });
      const renewed = machineWith(app, body.key);
      const fresh = await renewed.get(FLAGS);
      expect(fresh).toMatchObject(ACCEPTED);
      expect(fresh.headers).not.toHaveProperty('deprecation');
      const late = await machine.get(FLAGS);
      expect(late).toMatchObject(ACCEPTED);
      const { rotatedAt, overlapEndsAt } = await listed();
      // RFC 9745: an instant as a structured field. RFC 8594: an HTTP date.
      expect(late.headers['deprecation']).toBe(`@${Math.floor(Date.parse(rotatedAt) / 1_000)}`);
      expect(late.headers['sunset']).toBe(new Date(overlapEndsAt).toUTCString());
      app.clock.advance(3_600_000);
      expect(await machine.get(FLAGS)).toMatchObject(INVALID);
      expect(await renewed.get(FLAGS)).toMatchObject(ACCEPTED);
      await owner.refresh();
      expect(await listed()).not.toHaveProperty('overlapEndsAt');
    });

    it('shows from where its former secret is still used', async () => {
      await machine.get(FLAGS);
      const { body } = await rotate(3_600);
      await machine.get(FLAGS);
      await app.get(ApiKeyUses).flush();
      expect(await listed()).toMatchObject({ formerKeyUses: [{ address: '127.0.0.1' }] });
      await machineWith(app, body.key).get(FLAGS);
      await app.get(ApiKeyUses).flush();
      expect(await listed()).toMatchObject({ formerKeyUses: [] });
    });

    it('without an overlap ends every former secret at once, also during an overlap', async () => {
      const second = machineWith(app, (await rotate(3_600)).body.key);
      expect(await second.get(FLAGS)).toMatchObject(ACCEPTED);
      const third = machineWith(app, (await rotate(0)).body.key);
      expect(await machine.get(FLAGS)).toMatchObject(INVALID);
      expect(await second.get(FLAGS)).toMatchObject(INVALID);
      expect(await third.get(FLAGS)).toMatchObject(ACCEPTED);
    });

    it('again during an overlap is a conflict, which says when it ends', async () => {
      const { body } = await rotate(60);
      expect(await rotate(60)).toMatchObject({
        status: 409,
        body: { code: 'resource.conflict', overlapEndsAt: body.overlapEndsAt },
      });
      app.clock.advance(60_000);
      expect((await rotate(60)).status).toBe(200);
    });

    it.each([60, 0])('50 times at once, with an overlap of %i s, has one new secret', async (overlap) => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => rotate(overlap)));
      const made = answers.filter(({ status }) => status === 200).map(({ body }) => body.key as string);
      expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
      const live = [];
      for (const key of made) if ((await machineWith(app, key).get(FLAGS)).status === 200) live.push(key);
      expect(live).toHaveLength(1);
      expect((await machine.get(FLAGS)).status).toBe(overlap > 0 ? 200 : 401);
    });

    it.each([-1, 0.5, 2_592_001, '60', null])(
      'with an overlap of %j is refused as invalid',
      async (overlapSeconds) => {
        expect(await owner.post(`/v1/api-keys/${machine.keyId}/rotate`, { overlapSeconds })).toMatchObject({
          status: 400,
          body: { code: 'request.invalid' },
        });
      },
    );

    it('after its end or expiry is a conflict', async () => {
      await app.query(`update api_keys set expires_at = now() where id = $1`, [machine.keyId]);
      expect(await rotate(0)).toMatchObject({ status: 409 });
      const other = await machineOf(app, owner);
      await owner.delete(`/v1/api-keys/${other.keyId}`);
      expect(await rotate(0, owner, other.keyId)).toMatchObject({ status: 409 });
    });
  });

  describe('ends', () => {
    it('by its owner, with a receipt that a repeated request gets again', async () => {
      expect(await machine.get(FLAGS)).toMatchObject(ACCEPTED);
      const first = await owner.delete(`/v1/api-keys/${machine.keyId}`);
      expect(first).toMatchObject({ status: 200, body: { status: 'applied', endedSessions: 0 } });
      expect(await machine.get(FLAGS)).toMatchObject(INVALID);
      expect(await owner.delete(`/v1/api-keys/${machine.keyId}`)).toMatchObject({
        status: 200,
        body: { seq: first.body.seq },
      });
      expect(await listed()).toMatchObject({ status: 'ended', endReason: 'revoked' });
    });

    it('by an admin, who sees the keys of a user', async () => {
      const admin = await loggedIn(app, ADMIN);
      const { body } = await admin.get(`/v1/admin/users/${owner.userId}/api-keys`);
      expect(body.items).toMatchObject([{ id: machine.keyId, status: 'active' }]);
      expect((await admin.delete(`/v1/admin/api-keys/${machine.keyId}`)).body.status).toBe('applied');
      expect(await machine.get(FLAGS)).toMatchObject(INVALID);
      expect(await listed()).toMatchObject({ endReason: 'admin' });
    });

    it('with the ban of its owner, and does not come back when the ban is lifted', async () => {
      expect(await machine.get(FLAGS)).toMatchObject(ACCEPTED);
      const admin = await loggedIn(app, ADMIN);
      expect((await admin.post(`/v1/admin/users/${owner.userId}/ban`, { reason: 'x' })).body.status).toBe(
        'applied',
      );
      expect(await machine.get(FLAGS)).toMatchObject(INVALID);
      await admin.delete(`/v1/admin/users/${owner.userId}/ban`);
      app.clock.advance(31_000);
      expect(await machine.get(FLAGS)).toMatchObject(INVALID);
      const { body } = await admin.get(`/v1/admin/users/${owner.userId}/api-keys`);
      expect(body.items).toMatchObject([{ status: 'ended', endReason: 'ban' }]);
    });

    it('with the account of its owner, and is removed with it', async () => {
      expect(await machine.get(FLAGS)).toMatchObject(ACCEPTED);
      expect((await owner.delete('/v1/users/me')).status).toBe(204);
      expect(await machine.get(FLAGS)).toMatchObject(INVALID);
      expect(await app.query('select from api_keys where user_id = $1', [owner.userId])).toEqual([]);
    });

    it('but not with the sessions of its owner: a machine goes on after a logout and a new password', async () => {
      const admin = await loggedIn(app, ADMIN);
      expect((await owner.post('/v1/auth/logout')).status).toBe(204);
      expect((await admin.delete(`/v1/admin/users/${owner.userId}/sessions`)).status).toBe(200);
      expect(await machine.get(FLAGS)).toMatchObject(ACCEPTED);
      const again = await loggedIn(app, owner);
      const change = { currentPassword: PASSWORD, newPassword: 'nine owls under a bridge' };
      expect((await again.post('/v1/auth/password/change', change)).status).toBe(204);
      expect(await machine.get(FLAGS)).toMatchObject(ACCEPTED);
      expect((await machine.pay(random.uuid())).status).toBe(201);
    });

    it('at its expiry, to the millisecond', async () => {
      const expiresAt = new Date(app.clock.now() + 10 * MINUTE).toISOString();
      const brief = await machineOf(app, owner, { expiresAt });
      expect(await brief.get(FLAGS)).toMatchObject(ACCEPTED);
      app.clock.advance(10 * MINUTE);
      expect(await brief.get(FLAGS)).toMatchObject(INVALID);
      await owner.refresh();
      expect(await listed(brief.keyId)).toMatchObject({ status: 'expired' });
    });

    it('for good: the database refuses to make it live again', async () => {
      await owner.delete(`/v1/api-keys/${machine.keyId}`);
      await expect(
        app.query(`update api_keys set status = 'active', end_reason = null, ended_at = null where id = $1`, [
          machine.keyId,
        ]),
      ).rejects.toThrow(/stays ended/);
    });

    it('and its record is removed after SESSION_RETENTION, with its uses', async () => {
      await machine.get(FLAGS);
      await app.get(ApiKeyUses).flush();
      await owner.delete(`/v1/api-keys/${machine.keyId}`);
      const [live, expired] = [await machineOf(app, owner), await machineOf(app, owner)];
      const left = async () =>
        (
          await app.query<{ id: string }>('select id from api_keys where user_id = $1 order by id', [
            owner.userId,
          ])
        ).map(({ id }) => id);
      await app.get(ApiKeysService).removeOver();
      expect(await left()).toEqual([machine.keyId, live.keyId, expired.keyId]);
      await app.query(`update api_keys set ended_at = now() - interval '31 days' where id = $1`, [
        machine.keyId,
      ]);
      await app.query(`update api_keys set expires_at = now() - interval '31 days' where id = $1`, [
        expired.keyId,
      ]);
      await app.get(ApiKeysService).removeOver();
      expect(await left()).toEqual([live.keyId]);
    });

    it('and is not found by another user', async () => {
      const other = await loggedIn(app, await createUser(app));
      for (const answer of [
        await other.delete(`/v1/api-keys/${machine.keyId}`),
        await rotate(0, other),
        await other.delete(`/v1/api-keys/${random.uuid()}`),
      ])
        expect(answer).toMatchObject({ status: 404, body: { code: 'resource.not_found' } });
      expect(await machine.get(FLAGS)).toMatchObject(ACCEPTED);
    });
  });

  describe('that is made up by the thousand', () => {
    afterEach(() => app.clock.advance(11 * MINUTE));

    it('is refused with 429 before any I/O, while a key that was accepted goes on', async () => {
      expect(await machine.get(FLAGS)).toMatchObject(ACCEPTED);
      const format = app.get(ApiKeyFormat);
      const invented = () => machineWith(app, format.mint(random.uuidAt(app.clock.now())).text).get(FLAGS);
      for (let count = 0; count < 110; count++) await invented();
      const before = { ...app.get(ApiKeyCheck).answers };
      const refused = await invented();
      expect(refused).toMatchObject({ status: 429, body: { code: 'request.rate_limited' } });
      expect(refused.headers).toHaveProperty('retry-after');
      expect(app.get(ApiKeyCheck).answers).toEqual(before);
      expect(await machine.get(FLAGS)).toMatchObject(ACCEPTED);
      // Its id is no secret: a wrong secret with it is refused, and does not harm the right one.
      const guess = machineWith(app, format.mint(machine.keyId).text);
      expect((await guess.get(FLAGS)).status).toBe(429);
      expect(await machine.get(FLAGS)).toMatchObject(ACCEPTED);
      app.clock.advance(11 * MINUTE);
      expect(await invented()).toMatchObject(INVALID);
    });
  });
});

/** Real: PostgreSQL, the cache, the application over HTTP. */
describe('an API key of a service with API_KEY_MAX_LIFETIME', () => {
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { API_KEY_MAX_LIFETIME: '30d' } });
  });
  afterAll(() => app.close());

  it('expires then, and not later', async () => {
    const owner = await loggedIn(app, await createUser(app));
    const wanted = { name: 'x', scopes: ['probe:read'] };
    const lifetime = 30 * 24 * 60 * MINUTE;
    const { body } = await owner.post('/v1/api-keys', wanted);
    expect(Date.parse(body.expiresAt) - Date.parse(body.createdAt)).toBe(lifetime);
    const expiresAt = new Date(app.clock.now() + lifetime + MINUTE).toISOString();
    expect(await owner.post('/v1/api-keys', { ...wanted, expiresAt })).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'expiresAt' }] },
    });
  });
});
