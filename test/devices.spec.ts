import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Jobs } from '../src/platform/jobs/jobs.js';
import { ADMIN, ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import { TestClock } from './support/clock.js';
import { untilCached } from './support/session-probes.js';
import { expectBothTiers, loggedIn, type Person } from './support/test-users.js';

/** Real: PostgreSQL, Redis, two instances. */

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const CHROME =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
const DAY = 24 * 3_600_000;
const NO_SUCH_DEVICE = '01a1fb9c-777e-76a0-9173-796b28a79329';

let clock: TestClock;
let a: TestApp;
let b: TestApp;
let laptop: Person;
let phone: Person;

beforeAll(async () => {
  clock = new TestClock();
  await resetStores();
  const env = { TRUSTED_PROXIES: '127.0.0.1', COUNTRY_HEADER: 'x-country' };
  [a, b] = [await startApp({ clock, env }), await startApp({ clock, env })];
  for (const app of [a, b]) app.get(Jobs).stop('mail-outbox');
});
afterAll(() => Promise.all([a.close(), b.close()]));
beforeEach(async () => {
  await a.query(`delete from sessions; delete from devices; delete from mails`);
  laptop = await on({ 'user-agent': FIREFOX, 'x-country': 'AT' }, 'cookie');
  clock.advance(1_000);
  phone = await on(
    { 'user-agent': 'OurApp/3.1 (iPhone; iOS 19)', 'x-country': 'DE' },
    'bearer',
    'Alice’s phone',
  );
});

async function on(headers: Record<string, string>, transport: string, deviceName?: string): Promise<Person> {
  const client = Object.assign(a.client(), { headers });
  const { status, body } = await client.login(ALICE.email, PASSWORD, { transport, deviceName });
  expect(status).toBe(200);
  return Object.assign(client, { id: body.session.id, userId: body.user.id });
}
const devices = async (person: Person) => (await person.get('/v1/devices')).body.items;
const deviceOf = async (person: Person) => (await person.get('/v1/sessions/current')).body.device;
const newDeviceMails = () =>
  a.query<{ recipient: string; data: any }>(`select * from mails where template = 'new_device'`);

describe('the list of devices', () => {
  it('shows for each device its description, its last place and time, and whether it is the caller', async () => {
    expect(await devices(laptop)).toEqual([
      {
        id: expect.any(String),
        name: 'Alice’s phone',
        browser: 'OurApp',
        os: 'iOS',
        ip: '127.0.0.1',
        country: 'DE',
        firstSeenAt: expect.any(String),
        lastSeenAt: expect.any(String),
        current: false,
        activeSessions: 1,
      },
      {
        id: expect.any(String),
        name: 'Firefox on Linux',
        browser: 'Firefox',
        os: 'Linux',
        ip: '127.0.0.1',
        country: 'AT',
        firstSeenAt: expect.any(String),
        lastSeenAt: expect.any(String),
        current: true,
        activeSessions: 1,
      },
    ]);
  });

  it('has a device once, however often it logs in, with its latest login', async () => {
    const { id } = await deviceOf(phone);
    clock.advance(DAY);
    const again = await phone.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    expect(again.body.session.device).toMatchObject({ id, name: 'Alice’s phone' });
    await laptop.refresh();
    const listed = await devices(laptop);
    expect(listed).toHaveLength(2);
    const phoneNow = listed.find((device: { id: string }) => device.id === id);
    expect(phoneNow).toMatchObject({ activeSessions: 2 });
    expect(Date.parse(phoneNow.lastSeenAt) - Date.parse(phoneNow.firstSeenAt)).toBeGreaterThanOrEqual(DAY);
  });

  it('keeps a device whose sessions have ended, and marks it so', async () => {
    await phone.post('/v1/auth/logout');
    expect(await devices(laptop)).toContainEqual(
      expect.objectContaining({ name: 'Alice’s phone', activeSessions: 0, country: 'DE' }),
    );
  });

  it('has no device of another user', async () => {
    expect(await devices(await loggedIn(a, BOB))).toHaveLength(1);
  });

  it('is not affected by a login of another user with the device token', async () => {
    const bob = Object.assign(a.client(), { deviceToken: phone.deviceToken });
    const { body } = await bob.login(BOB.email, PASSWORD, { transport: 'bearer' });
    expect(body.session.device.id).not.toBe((await deviceOf(phone)).id);
    expect(body.deviceToken).not.toBe(phone.deviceToken);
  });

  it('drops a device that was not used for longer than any session can live', async () => {
    await a.query(`delete from sessions where id = $1`, [phone.id]);
    clock.advance(401 * DAY);
    await loggedIn(a, ALICE);
    const names = await a.query<{ name: string }>('select name from devices order by first_seen_at');
    expect(names.map(({ name }) => name)).toEqual(['Firefox on Linux', 'lightMyRequest']);
  });
});

describe('renaming a device', () => {
  it('shows on the next request of each of its sessions, on every instance', async () => {
    const { id } = await deviceOf(phone);
    for (const app of [a, b]) await untilCached(app, phone);
    const renamed = await laptop.patch(`/v1/devices/${id}`, { name: 'the blue one' });
    expect(renamed).toMatchObject({ status: 200, body: { id, name: 'the blue one', activeSessions: 1 } });
    for (const app of [a, b])
      expect((await phone.at(app).get('/v1/sessions/current')).body.device.name).toBe('the blue one');
    const [event] = await a.query(
      `select * from audit_events where type = 'device_renamed' order by id desc limit 1`,
    );
    expect(event).toMatchObject({ actor_id: laptop.userId, user_id: laptop.userId, details: { device: id } });
  });

  it.each([
    ['no name', {}],
    ['an empty name', { name: '' }],
    ['a name too long', { name: 'x'.repeat(101) }],
    ['a name with control characters', { name: 'a\nb' }],
    ['more than a name', { name: 'a', tokenDigest: 'b' }],
  ])('is refused with %s', async (_, body) => {
    const { id } = await deviceOf(phone);
    expect(await laptop.patch(`/v1/devices/${id}`, body)).toMatchObject({
      status: 400,
      body: { code: 'request.invalid' },
    });
  });
});

describe('ending the sessions of a device', () => {
  it('ends each of its sessions and no other, everywhere at once', async () => {
    const { id } = await deviceOf(phone);
    const second = Object.assign(phone.copy(), { id: '', userId: phone.userId });
    const login = await second.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    Object.assign(second, { id: login.body.session.id });
    const receipt = await laptop.delete(`/v1/devices/${id}/sessions`);
    expect(receipt).toMatchObject({ status: 200, body: { status: 'applied', endedSessions: 2 } });
    for (const person of [phone, second])
      for (const app of [a, b])
        await expectBothTiers(Object.assign(person.at(app)), {
          status: 401,
          body: { code: 'auth.session_ended', reason: 'logout' },
        });
    expect((await laptop.get('/v1/sessions/current')).status).toBe(200);
    expect((await laptop.delete(`/v1/devices/${id}/sessions`)).body).toMatchObject({ endedSessions: 0 });
  });

  it('may target the device of the caller', async () => {
    const { id } = await deviceOf(laptop);
    expect((await laptop.delete(`/v1/devices/${id}/sessions`)).status).toBe(200);
    expect(await laptop.get('/v1/sessions/current')).toMatchObject({ status: 401 });
  });
});

it('a request for another user’s device gets 404 and changes nothing, even by an admin', async () => {
  const { id } = await deviceOf(phone);
  for (const person of [await loggedIn(a, BOB), await loggedIn(a, ADMIN)]) {
    for (const device of [id, NO_SUCH_DEVICE]) {
      const missing = { status: 404, body: { code: 'resource.not_found' } };
      expect(await person.patch(`/v1/devices/${device}`, { name: 'mine' })).toMatchObject(missing);
      expect(await person.delete(`/v1/devices/${device}/sessions`)).toMatchObject(missing);
    }
  }
  expect((await deviceOf(phone)).name).toBe('Alice’s phone');
});

describe('a login', () => {
  it('from a new device sends the user a mail with the device and the place', async () => {
    expect((await newDeviceMails()).map(({ recipient, data }) => [recipient, data])).toEqual([
      [ALICE.email, { at: expect.any(String), device: 'Firefox on Linux', ip: '127.0.0.1', country: 'AT' }],
      [ALICE.email, { at: expect.any(String), device: 'Alice’s phone', ip: '127.0.0.1', country: 'DE' }],
    ]);
  });

  it('from a known device sends no mail', async () => {
    await phone.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    await laptop.login(ALICE.email, PASSWORD);
    expect(await newDeviceMails()).toHaveLength(2);
  });

  it('that fails sends no mail', async () => {
    await a.client().login(ALICE.email, 'not her password at all');
    expect(await newDeviceMails()).toHaveLength(2);
  });

  it('with an updated browser is recognised as one from the same device, and updates its description', async () => {
    laptop.headers = { 'user-agent': CHROME };
    await laptop.login(ALICE.email, PASSWORD);
    expect(await deviceOf(laptop)).toMatchObject({
      browser: 'Chrome',
      os: 'Windows',
      name: 'Firefox on Linux',
    });
    expect(await newDeviceMails()).toHaveLength(2);
  });
});
