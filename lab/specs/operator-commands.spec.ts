import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADMIN, ALICE, BOB, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { createKey, machineWith } from '../../test/support/api-keys.js';
import type { Client } from '../../test/support/client.js';
import { runCommand } from '../../test/support/command.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { untilCached } from '../../test/support/session-probes.js';
import { expectBothTiers, loggedIn, sessionTier, type Person } from '../../test/support/test-users.js';
import { eventually } from '../../test/support/waiting.js';

/** Real: the commands as processes, PostgreSQL, Redis where available, instances in this process. */

const { TEST_DATABASE_URL: DATABASE_URL, TEST_REDIS_URL: REDIS_URL } = process.env;
/** No server listens there. */
const NOWHERE = 'redis://127.0.0.1:9';
const ENDED = { status: 401, body: { code: 'auth.session_ended', reason: 'admin' } };
const ENDED_WITH_ALL = { status: 401, body: { code: 'auth.session_ended', reason: 'admin_everyone' } };
const LIVE = { status: 200 };
const APPLIED = /session tier: every instance refuses from now on/;
const BOUNDED = /session tier: every instance refuses at the latest from 20/;

let folder: string;
let app: TestApp;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drawbridge-operator-'));
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(() => resetStores());
afterEach(() => app.close());

const command = (name: string, args: string[], env: Record<string, string | undefined> = {}) =>
  runCommand(name, args, { DATABASE_URL, REDIS_URL, DATA_DIR: folder, ...env });
const events = (type: string) =>
  app.query<Record<string, any>>(
    `select type, actor_id, user_id, session_id, ip, user_agent, details from audit_events where type = $1 order by id`,
    [type],
  );
/** Over HTTP: the notice of the end has to arrive first. */
const untilRefused = (client: Client, outcome: object) =>
  eventually(async () => {
    expect(await client.get('/v1/sessions/current')).toMatchObject(outcome);
    expect(await client.get('/v1/probe/flags')).toMatchObject(outcome);
  });

describe('sessions:end, while no instance runs', () => {
  it('ends the sessions of one user, and the next instance refuses them on both tiers', async () => {
    app = await startApp();
    const [alice, bob] = [await loggedIn(app, ALICE), await loggedIn(app, BOB)];
    await app.close();
    const { code, output } = await command('sessions:end', [
      '--user',
      'Alice@Example.com',
      '--reason',
      'INC-7',
    ]);
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringMatching(/ended 1 session\n/) });
    app = await startApp();
    await expectBothTiers(alice.at(app) as Person, ENDED);
    expect(await alice.refresh()).toMatchObject(ENDED);
    await expectBothTiers(bob.at(app) as Person, LIVE);
  });

  it('writes the audit event of the API, with the operator and the command as the actor', async () => {
    app = await startApp();
    const admin = await loggedIn(app, ADMIN);
    const [first, second] = [await loggedIn(app, ALICE), await loggedIn(app, ALICE)];
    expect(await admin.delete(`/v1/admin/sessions/${first.id}`)).toMatchObject({ status: 200 });
    await app.close();
    expect(
      await command('sessions:end', ['--session', second.id.toUpperCase(), '--reason', 'INC-7']),
    ).toMatchObject({
      code: 0,
    });
    app = await startApp();
    const [byApi, byCommand] = (await events('session_ended')) as [any, any];
    expect(byCommand).toEqual({
      ...byApi,
      session_id: second.id,
      actor_id: null,
      ip: null,
      user_agent: expect.stringMatching(/^command sessions:end, operator \S+$/),
      details: { ...byApi.details, revocation: expect.any(Number), operatorReason: 'INC-7' },
    });
    expect(byApi).toMatchObject({ actor_id: ADMIN.id, user_id: ALICE.id });
  });
});

describeWithRedis('sessions:end, beside a running instance', () => {
  it('is in force at once on the session tier, and on the access tier with the feed', async () => {
    app = await startApp();
    const [alice, bob] = [await loggedIn(app, ALICE), await loggedIn(app, BOB)];
    await untilCached(app, alice);
    await untilCached(app, bob);
    const one = await command('sessions:end', ['--user', ALICE.id]);
    expect(one).toMatchObject({ code: 0, output: expect.stringMatching(APPLIED) });
    await expectBothTiers(alice, ENDED);
    await expectBothTiers(bob, LIVE);

    const all = await command('sessions:end', ['--everyone', '--yes', '--reason', 'INC-8']);
    expect(all).toMatchObject({ code: 0, output: expect.stringMatching(/ended 1 session\n/) });
    await expectBothTiers(bob, ENDED_WITH_ALL);
    const [event] = await events('sessions_ended_everywhere');
    expect(event).toMatchObject({ actor_id: null, details: { operatorReason: 'INC-8' } });
  });

  it('is in force within the feed while Redis is down for it, and an instance completes it', async () => {
    app = await startApp();
    const alice = await loggedIn(app, ALICE);
    await untilCached(app, alice);
    const ended = await command('sessions:end', ['--session', alice.id], { REDIS_URL: NOWHERE });
    expect(ended).toMatchObject({ code: 0, output: expect.stringMatching(BOUNDED) });
    await untilRefused(alice, ENDED);
    // The dispatcher of the instance writes the tombstone, so the session check refuses by itself.
    await eventually(async () => {
      const [left] = await app.query('select count(*)::int from revocations where applied_at is null');
      expect(left).toEqual({ count: 0 });
    });
    expect(await sessionTier(app, alice)).toBe('admin');
  });

  it('ends the sessions of everyone while Redis is down for the instances, too', async () => {
    app = await startApp({ env: { REDIS_URL: NOWHERE } });
    const alice = await loggedIn(app, ALICE);
    await expectBothTiers(alice, LIVE);
    const ended = await command('sessions:end', ['--everyone', '--yes'], { REDIS_URL: NOWHERE });
    expect(ended).toMatchObject({ code: 0, output: expect.stringMatching(BOUNDED) });
    await expectBothTiers(alice, ENDED_WITH_ALL);
  });
});

describe('sessions:end, beside an instance without Redis', () => {
  it('leaves the cache in its memory to the instance, and does not claim that it is done', async () => {
    app = await startApp({ env: { REDIS_URL: undefined } });
    const alice = await loggedIn(app, ALICE);
    await untilCached(app, alice);
    const ended = await command('sessions:end', ['--session', alice.id], { REDIS_URL: undefined });
    expect(ended).toMatchObject({ code: 0, output: expect.stringMatching(BOUNDED) });
    await untilRefused(alice, ENDED);
    await eventually(async () => expect(await sessionTier(app, alice)).toBe('admin'));
  });
});

describe('users:ban', () => {
  it('ends sessions and API keys, refuses the login, and never bans the last admin', async () => {
    app = await startApp();
    const alice = await loggedIn(app, ALICE);
    const machine = machineWith(app, (await createKey(alice)).key);
    expect(await machine.get('/v1/probe/machines')).toMatchObject(LIVE);
    const banned = await command('users:ban', [ALICE.email, '--reason', 'stolen']);
    expect(banned).toMatchObject({ code: 0, output: expect.stringMatching(/^banned alice@example\.com\n/) });
    await eventually(async () =>
      expect(await alice.get('/v1/sessions/current')).toMatchObject({ status: 401 }),
    );
    await eventually(async () =>
      expect(await machine.get('/v1/probe/machines')).toMatchObject({ status: 401 }),
    );
    expect(await events('user_banned')).toMatchObject([
      { user_id: ALICE.id, details: { banReason: 'stolen' } },
    ]);

    const last = await command('users:ban', [ADMIN.email, '--reason', 'stolen']);
    expect(last).toEqual({
      code: 1,
      output: expect.stringMatching(/^No other account .* has the role admin/),
    });
  });
});
