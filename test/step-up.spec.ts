import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ALICE, holdBackgroundWork, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Client } from './support/client.js';
import { StoppedClock, type TestClock } from './support/clock.js';
import { keysDelivered, loggedIn, type Person } from './support/test-users.js';
import { enrol } from './support/second-factor.js';
import { eventually } from './support/waiting.js';
import { COOKIES } from './support/cookies.js';

const MINUTE = 60_000;
const GRACE = 10_000;
/** A client that has no answer after this time has lost it. */
const ANSWER_LOST = 3_000;
const TRY_AGAIN = { status: 503, body: { code: 'auth.unavailable' }, setCookies: [] };
const EXPIRED = { status: 401, body: { code: 'auth.token_expired' } };
const NOT_FRESH = { status: 401, body: { code: 'auth.reauthentication_required' } };
const REUSE = { status: 401, body: { code: 'auth.session_ended', reason: 'refresh_reuse' } };

/** Real: PostgreSQL, the cache, two instances. */
describe.each(['cookie', 'bearer'] as const)('a step-up (%s)', (transport) => {
  let clock: TestClock;
  let app: TestApp;
  let other: TestApp;
  let email: string;
  let owner: Person;
  let count = 0;

  beforeAll(async () => {
    await resetStores();
    clock = new StoppedClock();
    const env = { CACHE_BUDGET: '1s' };
    [app, other] = [await startApp({ clock, env }), await startApp({ clock, env })];
    for (const one of [app, other]) holdBackgroundWork(one);
  });
  afterAll(() => Promise.all([app?.close(), other?.close()]));
  beforeEach(async () => {
    email = `someone${(count += 1)}@example.com`;
    await app.query(
      `insert into users (id, email, password_hash, created_at)
       select gen_random_uuid(), $1, password_hash, $3 from users where id = $2`,
      [email, ALICE.id, new Date(clock.now())],
    );
    owner = await loggedIn(app, { email }, transport);
    clock.advance(6 * MINUTE);
  });

  const stepUp = async (client: Client, proof: object = { password: PASSWORD }) =>
    expect((await client.reauthenticate(proof)).status).toBe(200);
  /** The answer is lost, and the client keeps its old tokens. */
  const loseStepUp = async (client: Client, proof?: object) => {
    await stepUp(client.copy(), proof);
    clock.advance(ANSWER_LOST);
  };
  const current = (client: Client) => client.get('/v1/sessions/current');
  /** Refused alike with or without a body, but only where the session is not fresh. */
  const freshRoute = (client: Client) => client.post('/v1/auth/email/change', { email: 'new@example.com' });
  const withoutDevice = (client: Client) => {
    const copy = client.copy();
    copy.jar.delete(COOKIES.device);
    copy.deviceToken = undefined;
    return copy;
  };

  it('voids all earlier tokens: the token of its request and every other one [STP-04]', async () => {
    const shown = owner.copy();
    const another = owner.copy();
    expect((await another.refresh()).status).toBe(200);
    await stepUp(owner);
    for (const instance of [app, other]) {
      for (const old of [shown, another]) expect(await current(old.at(instance))).toMatchObject(EXPIRED);
      await eventually(async () =>
        expect(await shown.at(instance).get('/v1/probe/flags')).toMatchObject(EXPIRED),
      );
      expect((await freshRoute(owner.at(instance))).status).toBe(202);
    }
    expect((await owner.refresh()).status).toBe(200);
    expect((await freshRoute(owner)).status).toBe(202);
  });

  it('is useless to a thief who copied the whole jar before: a refresh with it makes the session as old as before [STP-03]', async () => {
    const thief = owner.copy().at(other);
    await stepUp(owner);
    clock.advance(ANSWER_LOST);
    expect((await thief.refresh()).status).toBe(200);
    for (const client of [thief, owner]) expect(await freshRoute(client)).toMatchObject(NOT_FRESH);
    // Once more.
    await stepUp(owner);
    expect(await freshRoute(thief)).toMatchObject(EXPIRED);
    expect((await freshRoute(owner)).status).toBe(202);
    const [event] = await app.query(
      `select * from audit_events where session_id = $1 and type = 'authn_reauthentication_voided'`,
      [owner.id],
    );
    expect(event).toBeDefined();
  });

  it('R2: keeps its freshness when a tab refreshes with the old tokens before the answer arrives, or after that', async () => {
    const tab = owner.copy();
    await stepUp(owner);
    clock.advance(ANSWER_LOST - 1);
    expect(await tab.refresh()).toMatchObject(TRY_AGAIN);
    expect((await freshRoute(owner)).status).toBe(202);
    await keysDelivered(app);
    clock.advance(1);
    expect(await tab.refresh()).toMatchObject(TRY_AGAIN);
    expect((await owner.refresh()).status).toBe(200);
    expect((await freshRoute(owner)).status).toBe(202);
  });

  it('whose answer was lost logs no client out, however long they are away and however often that happens', async () => {
    await loseStepUp(owner);
    clock.advance(60 * MINUTE);
    for (let lost = 0; lost < 3; lost += 1) {
      expect((await owner.copy().refresh()).status).toBe(200);
      clock.advance(GRACE + 1);
    }
    expect((await owner.refresh()).status).toBe(200);
    expect(await freshRoute(owner)).toMatchObject(NOT_FRESH);
    await loseStepUp(owner);
    expect((await owner.refresh()).status).toBe(200);
    await stepUp(owner);
    expect((await freshRoute(owner)).status).toBe(202);
    clock.advance(GRACE + 1);
    for (let times = 0; times < 3; times += 1) expect((await owner.refresh()).status).toBe(200);
    expect((await current(owner)).body.id).toBe(owner.id);
  });

  it('whose answer was lost is used by a refresh with the old tokens: idle time counts from then', async () => {
    await loseStepUp(owner);
    clock.advance(40 * MINUTE);
    const { session } = (await owner.refresh()).body;
    const [row] = await app.query<{ last_seen_at: Date }>('select last_seen_at from sessions where id = $1', [
      owner.id,
    ]);
    expect(row!.last_seen_at.toISOString()).toBe(session.lastSeenAt);
  });

  it('reveals a theft when its predecessor is presented without the device token', async () => {
    const thief = withoutDevice(owner);
    await stepUp(owner);
    expect(await thief.refresh()).toMatchObject(REUSE);
    expect(await current(owner)).toMatchObject(REUSE);
  });

  it('reveals a theft when its predecessor is presented long after its own tokens were used', async () => {
    const tab = owner.copy();
    await stepUp(owner);
    expect((await owner.refresh()).status).toBe(200);
    clock.advance(5 * GRACE + 1);
    expect(await tab.refresh()).toMatchObject(REUSE);
    expect(await current(owner)).toMatchObject(REUSE);
  });

  it('survives a delayed request that presents its predecessor within five graces', async () => {
    const tab = owner.copy();
    await stepUp(owner);
    expect((await owner.refresh()).status).toBe(200);
    clock.advance(5 * GRACE);
    const answer = await tab.refresh();
    expect(answer).toMatchObject(TRY_AGAIN);
    expect((await owner.refresh()).status).toBe(200);
    expect((await current(owner)).status).toBe(200);
  });

  it('reveals a theft when a token is presented that was used long before it', async () => {
    const thief = owner.copy();
    for (let times = 0; times < 3; times += 1) {
      expect((await owner.refresh()).status).toBe(200);
      clock.advance(MINUTE);
    }
    await stepUp(owner);
    expect(await thief.refresh()).toMatchObject(REUSE);
  });

  it('wins against a simultaneous one: the other client refreshes and retries', async () => {
    const tabs = [owner.copy(), owner.copy().at(other)];
    const answers = await Promise.all(tabs.map((tab) => tab.reauthenticate({ password: PASSWORD })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
    const late = tabs[answers.findIndex(({ status }) => status === 401)]!;
    expect(answers.find(({ status }) => status === 401)).toMatchObject(EXPIRED);
    clock.advance(ANSWER_LOST); // tabs share the cookies, these clients do not
    expect((await late.refresh()).status).toBe(200);
    await stepUp(late);
    expect((await freshRoute(late)).status).toBe(202);
  });

  it('has no predecessor any more after a password change', async () => {
    const before = owner.copy();
    await stepUp(owner);
    const passwords = { currentPassword: PASSWORD, newPassword: 'the kettle sings at noon' };
    expect((await owner.post('/v1/auth/password/change', passwords)).status).toBe(204);
    expect(await before.refresh()).toMatchObject({ status: 401, body: { code: 'auth.invalid_token' } });
    expect((await owner.refresh()).status).toBe(200);
  });

  it('ends with its session, whose superseded tokens still log out', async () => {
    const before = owner.copy();
    await stepUp(owner);
    before.jar.delete(COOKIES.access);
    const body = transport === 'bearer' ? { refreshToken: before.refreshToken } : undefined;
    before.accessToken = undefined;
    expect((await before.post('/v1/auth/logout', body)).status).toBe(204);
    expect((await current(owner)).body).toMatchObject({ code: 'auth.session_ended', reason: 'logout' });
  });

  it('by a second factor that was removed meanwhile proves no second factor', async () => {
    await stepUp(owner);
    const { phone } = await enrol(app, owner);
    clock.advance(6 * MINUTE);
    await stepUp(owner, { password: PASSWORD });
    await loseStepUp(owner, { code: phone.nextCode() });
    expect((await owner.refresh()).status).toBe(200);
    expect(await owner.post('/v1/auth/mfa/recovery-codes')).toMatchObject({ body: { bySecondFactor: true } });
    await stepUp(owner, { code: phone.nextCode() });
    expect((await owner.post('/v1/auth/mfa/recovery-codes')).status).toBe(200);
  });
});
