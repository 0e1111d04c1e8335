import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { ADMIN, ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import type { Answer, Client } from '../../test/support/client.js';
import { TestClock } from '../../test/support/clock.js';
import { writeGeoDatabase } from '../../test/support/geo-database.js';
import { expectBothTiers, sessionTier, type Person } from '../../test/support/test-users.js';
import { untilCached } from '../../test/support/session-probes.js';

/**
 * Real: PostgreSQL, Redis, two instances, a database of cities. Simulated: the proxy in front of them, whose
 * headers name the place of a request. The tests read mails from the outbox.
 */

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const CHROME =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
const [VIENNA, BERLIN, NOWHERE, AUCKLAND] = ['192.0.2.1', '198.51.100.1', '203.0.113.1', '100.64.0.1'];
const MINUTE = 60_000;
const SUSPICIOUS = { status: 401, body: { code: 'auth.session_ended', reason: 'suspicious' } };
const CHALLENGED = {
  status: 401,
  body: { code: 'auth.reauthentication_required' },
  headers: { 'www-authenticate': 'Bearer error="insufficient_user_authentication", max_age="0"' },
};

let folder: string;
let clock: TestClock;
let a: TestApp;
let b: TestApp;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drawbridge-suspicion-'));
  await writeGeoDatabase(join(folder, 'cities.mmdb'), [
    ['192.0.2.0/24', { country: { iso_code: 'AT' }, location: { latitude: 48.2, longitude: 16.37 } }],
    ['198.51.100.0/24', { country: { iso_code: 'DE' }, location: { latitude: 52.52, longitude: 13.4 } }],
    ['100.64.0.0/24', { country: { iso_code: 'NZ' }, location: { latitude: -36.85, longitude: 174.76 } }],
  ]);
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => Promise.all([a.close(), b.close()]));

/** Two instances behind one proxy, which sends the country in a header and forwards the address. */
async function start(env: Record<string, string | undefined> = {}): Promise<void> {
  clock = new TestClock();
  await resetStores();
  const instance = () =>
    startApp({
      clock,
      env: { TRUSTED_PROXIES: '127.0.0.1', COUNTRY_HEADER: 'X-Country', ...env },
    });
  [a, b] = [await instance(), await instance()];
  for (const app of [a, b]) app.get(Jobs).stop('mail-outbox'); // mails stay in the outbox
}

async function loggedIn(
  headers: Record<string, string>,
  transport = 'bearer',
  { email } = ALICE,
): Promise<Person> {
  const client = Object.assign(a.client(), { headers });
  const { status, body } = await client.login(email, PASSWORD, { transport });
  expect(status).toBe(200);
  return Object.assign(client, { id: body.session.id, userId: body.user.id });
}
const from = (country: string) => ({ 'x-country': country });
const by = (userAgent: string) => ({ 'user-agent': userAgent });
const at = (ip: string) => ({ 'x-forwarded-for': ip });
/** The same credentials, from another place. */
const elsewhere = (person: Client, headers: Record<string, string>, app = a) =>
  Object.assign(person.copy(), { headers }).at(app);
const check = (client: Client) => client.get('/v1/sessions/current');
const mails = async () =>
  (
    await a.query<{ recipient: string; template: string; data: any }>('select * from mails order by id')
  ).filter(({ template }) => template !== 'new_device');
const events = () =>
  a.query<{ session_id: string; details: any; ip: string }>(
    `select * from audit_events where type = 'session_suspicious' order by id`,
  );

describe('a session that suddenly appears from another country, with SUSPICION_COUNTRY=end', () => {
  beforeEach(() => start({ SUSPICION_COUNTRY: 'end' }));

  it.each<[string, (thief: Client) => Promise<Answer>]>([
    ['at a session check', check],
    ['at a refresh', (thief) => thief.refresh()],
    ['when it authenticates again', (thief) => thief.post('/v1/auth/reauthenticate', { password: PASSWORD })],
  ])('%s ends at once for both parties, with a mail and an audit event', async (_, act) => {
    const owner = await loggedIn(from('AT'));
    expect((await check(owner)).body).toMatchObject({ country: 'AT' });
    expect(await act(elsewhere(owner, from('DE')))).toMatchObject(SUSPICIOUS);
    for (const app of [a, b]) await expectBothTiers(Object.assign(owner.at(app)), SUSPICIOUS);
    expect(await owner.refresh()).toMatchObject(SUSPICIOUS);
    expect(await mails()).toEqual([
      expect.objectContaining({
        recipient: ALICE.email,
        template: 'session_ended_as_suspicious',
        data: expect.objectContaining({
          country: 'DE',
          signals: [{ name: 'country', country: 'DE', originCountry: 'AT' }],
        }),
      }),
    ]);
    expect(await events()).toEqual([
      expect.objectContaining({
        session_id: owner.id,
        details: expect.objectContaining({
          response: 'end',
          signals: ['country'],
          country: 'DE',
          originCountry: 'AT',
        }),
      }),
    ]);
  });

  it('is detected although it is cached, and on an instance that never saw it before', async () => {
    const owner = await loggedIn(from('AT'));
    for (const app of [a, b]) await untilCached(app, owner);
    expect(await check(elsewhere(owner, from('DE'), b))).toMatchObject(SUSPICIOUS);
    expect(await sessionTier(a, owner)).toBe('suspicious');
  });

  it('ends in the same way with cookies', async () => {
    const owner = await loggedIn(from('AT'), 'cookie');
    expect(await elsewhere(owner, from('DE')).refresh()).toMatchObject(SUSPICIOUS);
    expect(await check(owner)).toMatchObject(SUSPICIOUS);
  });

  it('is accepted on low-risk routes, which read the token only', async () => {
    const owner = await loggedIn(from('AT'));
    expect((await elsewhere(owner, from('DE')).get('/v1/probe/flags')).status).toBe(200);
    expect((await check(owner)).status).toBe(200);
  });

  it('is not judged when one of its countries is unknown', async () => {
    const owner = await loggedIn(from('AT'));
    expect((await check(elsewhere(owner, {}))).status).toBe(200);
    const nowhere = await loggedIn({});
    expect((await check(elsewhere(nowhere, from('DE')))).status).toBe(200);
    expect(await events()).toEqual([]);
  });

  it('ends once by a hundred requests at once, with one mail', async () => {
    const owner = await loggedIn(from('AT'));
    const thieves = Array.from({ length: 100 }, (_, index) =>
      elsewhere(owner, from('DE'), index % 2 ? a : b),
    );
    for (const answer of await Promise.all(thieves.map(check))) expect(answer).toMatchObject(SUSPICIOUS);
    expect(await mails()).toHaveLength(1);
    expect(await events()).toHaveLength(1);
  });

  it('gets 503 and continues when PostgreSQL cannot decide', async () => {
    const owner = await loggedIn(from('AT'));
    await untilCached(a, owner);
    const away = jest
      .spyOn(a.get(DataSource), 'transaction')
      .mockRejectedValue(Object.assign(new Error('gone'), { code: 'ECONNREFUSED' }));
    expect(await check(elsewhere(owner, from('DE')))).toMatchObject({
      status: 503,
      body: { code: 'auth.unavailable' },
    });
    away.mockRestore();
    expect((await check(owner)).status).toBe(200);
  });
});

it('a country header of a client is ignored', async () => {
  await start({ TRUSTED_PROXIES: undefined });
  const owner = await loggedIn(from('AT'));
  const answer = await check(elsewhere(owner, { ...from('DE'), ...at(BERLIN) }));
  expect(answer.status).toBe(200);
  expect(answer.body).not.toHaveProperty('country');
});

it('a session is not checked for risk signals with the settings off', async () => {
  await start({ SUSPICION_COUNTRY: 'off', SUSPICION_BROWSER: 'off', SUSPICION_NEW_DEVICE: 'off' });
  const owner = await loggedIn({ ...from('AT'), ...by(FIREFOX) });
  const moved = elsewhere(owner, { ...from('DE'), ...by(CHROME) });
  expect((await check(moved)).status).toBe(200);
  expect((await moved.refresh()).status).toBe(200);
  expect(await a.query('select from mails')).toEqual([]);
});

describe('notify', () => {
  beforeEach(() => start({ SUSPICION_COUNTRY: 'notify' }));

  it('lets the session continue, and reports each new country once', async () => {
    const owner = await loggedIn(from('AT'));
    for (const country of ['DE', 'AT', 'DE', 'FR', 'DE', 'FR'])
      for (const app of [a, b]) expect((await check(elsewhere(owner, from(country), app))).status).toBe(200);
    const moved = elsewhere(owner, from('DE'));
    expect((await moved.refresh()).body.session).toMatchObject({ country: 'DE' });
    for (const client of [moved, owner]) expect((await check(client)).status).toBe(200);
    expect((await mails()).map(({ template, data }) => [template, data.country])).toEqual([
      ['suspicious', 'DE'],
      ['suspicious', 'FR'],
    ]);
    expect((await events()).map(({ details }) => details.response)).toEqual(['notify', 'notify']);
  });

  it('reports once for many requests at once', async () => {
    const owner = await loggedIn(from('AT'));
    const tabs = Array.from({ length: 50 }, (_, index) => elsewhere(owner, from('DE'), index % 2 ? a : b));
    for (const answer of await Promise.all(tabs.map(check))) expect(answer.status).toBe(200);
    expect(await mails()).toHaveLength(1);
  });

  it('gives way to a stricter setting, also for existing sessions and reported countries', async () => {
    const owner = await loggedIn(from('AT'));
    expect((await check(elsewhere(owner, from('DE')))).status).toBe(200);
    const strict = await startApp({
      clock,
      env: {
        TRUSTED_PROXIES: '127.0.0.1',
        COUNTRY_HEADER: 'x-country',
        SUSPICION_COUNTRY: 'end',
        SEED_USERS: 'false',
      },
    });
    expect(await check(elsewhere(owner, from('DE'), strict))).toMatchObject(SUSPICIOUS);
    await strict.close();
  });
});

describe('reauthenticate', () => {
  beforeEach(() => start({ SUSPICION_COUNTRY: 'reauthenticate' }));
  const prove = (client: Client, password = PASSWORD) => client.post('/v1/auth/reauthenticate', { password });

  it('refuses there until the password was given there, and accepts the usual country', async () => {
    const owner = await loggedIn(from('AT'));
    const abroad = elsewhere(owner, from('DE'), b);
    for (const app of [a, b]) expect(await check(abroad.at(app))).toMatchObject(CHALLENGED);
    expect((await check(owner)).status).toBe(200);
    expect((await prove(abroad, 'not the right password')).status).toBe(401);
    expect(await check(abroad)).toMatchObject(CHALLENGED);
    const proven = await prove(abroad);
    expect(proven.status).toBe(200);
    abroad.accessToken = owner.accessToken = proven.body.accessToken;
    for (const app of [a, b]) expect((await check(abroad.at(app))).status).toBe(200);
    expect((await check(owner)).status).toBe(200);
    expect(await mails()).toHaveLength(1);
  });

  it('refuses a thief who refreshes there, and the session does not adopt that country', async () => {
    const owner = await loggedIn(from('AT'));
    const thief = elsewhere(owner, from('DE'));
    const refreshed = await thief.refresh();
    expect(refreshed.status).toBe(200);
    expect(refreshed.body.session).toMatchObject({ country: 'AT' });
    expect(await check(thief)).toMatchObject(CHALLENGED);
    const [row] = await a.query(`select country, origin_country from sessions where id = $1`, [owner.id]);
    expect(row).toEqual({ country: 'AT', origin_country: 'AT' });
    expect(await mails()).toHaveLength(1);
  });

  it('requires another proof for the next country', async () => {
    const owner = await loggedIn(from('AT'));
    const abroad = elsewhere(owner, from('DE'));
    await check(abroad);
    owner.accessToken = (await prove(abroad)).body.accessToken;
    expect(await check(elsewhere(owner, from('FR')))).toMatchObject(CHALLENGED);
  });
});

describe('a country that flaps, with the default settings', () => {
  beforeEach(() => start());
  const proveAt = async (client: Client) => {
    const answer = await client.reauthenticate({ password: PASSWORD });
    expect(answer.status).toBe(200);
  };

  it('ends no session: one proof is sufficient for all later changes', async () => {
    for (let sessions = 0; sessions < 10; sessions += 1) {
      const owner = await loggedIn(from('AT'));
      owner.headers = from('DE');
      expect(await check(owner)).toMatchObject(CHALLENGED);
      await proveAt(owner);
      for (const country of ['AT', 'DE', 'AT', 'T1', 'DE', 'XX', 'AT']) {
        owner.headers = from(country);
        for (const app of [a, b]) expect((await check(owner.at(app))).status).toBe(200);
        expect((await owner.refresh()).status).toBe(200);
      }
    }
    expect(await mails()).toHaveLength(10);
    expect(await events()).toHaveLength(10);
  });

  it('is no country where a code names none: a session that meets it or began there is unchanged', async () => {
    const codes = 'T1 XX ZZ AA QM QO QZ XA XK XZ A1 A2 O1 EU AP AN UN T2 -'.split(' ');
    const owner = await loggedIn(from('AT'));
    for (const code of codes) {
      owner.headers = from(code);
      expect([code, (await check(owner)).status]).toEqual([code, 200]);
      expect((await owner.refresh()).body.session).not.toHaveProperty('country');
      const other = await loggedIn(from(code));
      for (const country of ['AT', 'DE'])
        expect((await check(elsewhere(other, from(country)))).status).toBe(200);
      expect((await other.post('/v1/auth/logout')).status).toBe(204);
    }
    expect(await mails()).toEqual([]);
    expect(await events()).toEqual([]);
  });

  it('ends the session of an admin', async () => {
    const admin = await loggedIn(from('AT'), 'bearer', ADMIN);
    expect(await check(elsewhere(admin, from('DE')))).toMatchObject(SUSPICIOUS);
    expect(await check(admin)).toMatchObject(SUSPICIOUS);
  });

  it('ends the session of a user who has become an admin in it', async () => {
    const owner = await loggedIn(from('AT'));
    const admin = await loggedIn(from('AT'), 'bearer', ADMIN);
    const roles = await admin.put(`/v1/admin/users/${owner.userId}/roles`, { roles: ['user', 'admin'] });
    expect(roles.status).toBe(200);
    expect(await check(elsewhere(owner, from('DE')))).toMatchObject(SUSPICIOUS);
  });
});

it('ADMIN_SUSPICION_COUNTRY applies to admins, whatever applies to others', async () => {
  await start({ SUSPICION_COUNTRY: 'end', ADMIN_SUSPICION_COUNTRY: 'reauthenticate' });
  const admin = await loggedIn(from('AT'), 'bearer', ADMIN);
  expect(await check(elsewhere(admin, from('DE')))).toMatchObject(CHALLENGED);
  const owner = await loggedIn(from('AT'));
  expect(await check(elsewhere(owner, from('DE')))).toMatchObject(SUSPICIOUS);
});

describe.each<[string, Record<string, string | undefined>, Record<string, string>[]]>([
  ['a browser', { SUSPICION_BROWSER: 'reauthenticate' }, [by(FIREFOX), by(CHROME), by('curl/8.5.0')]],
  [
    'a place',
    { SUSPICION_TRAVEL: 'reauthenticate', SUSPICION_COUNTRY: 'off', COUNTRY_HEADER: undefined },
    [at(VIENNA), at(BERLIN), at(AUCKLAND)],
  ],
])('%s that flaps, where it has to be proved', (_, env, [home, second, third]) => {
  beforeEach(() => start({ ...env, GEOIP_DATABASE: join(folder, 'cities.mmdb') }));

  it('is proved once, and causes no signal after that; another one does', async () => {
    const owner = await loggedIn(home!);
    owner.headers = second!;
    expect(await check(owner)).toMatchObject(CHALLENGED);
    expect((await owner.reauthenticate({ password: PASSWORD })).status).toBe(200);
    for (const headers of [home!, second!, home!, second!]) {
      owner.headers = headers;
      for (const app of [a, b]) expect((await check(owner.at(app))).status).toBe(200);
      expect((await owner.refresh()).status).toBe(200);
    }
    expect(await mails()).toHaveLength(1);
    expect(await check(elsewhere(owner, third!))).toMatchObject(CHALLENGED);
    expect(await mails()).toHaveLength(2);
  });
});

describe('another browser on one session', () => {
  beforeEach(() => start());

  it('is reported once, and a newer version of the same browser is not', async () => {
    const owner = await loggedIn(by(FIREFOX), 'cookie');
    expect((await check(elsewhere(owner, by(FIREFOX.replaceAll('140', '141'))))).status).toBe(200);
    expect(await mails()).toEqual([]);
    for (const headers of [by(CHROME), by('curl/8.5.0'), by(CHROME)])
      expect((await check(elsewhere(owner, headers))).status).toBe(200);
    expect((await mails()).map(({ data }) => data.signals)).toEqual([
      [{ name: 'browser', browser: 'Chrome', usual: 'Firefox' }],
      [{ name: 'browser', browser: null, usual: 'Firefox' }],
    ]);
  });
});

describe('travel that no plane can do', () => {
  beforeEach(() =>
    start({
      COUNTRY_HEADER: undefined,
      SUSPICION_COUNTRY: 'off',
      GEOIP_DATABASE: join(folder, 'cities.mmdb'),
    }),
  );
  const told = async () => (await mails()).map(({ data }) => data.signals);
  const FAR = [{ name: 'travel', km: 500, hours: 1 }];

  it('on one session is reported', async () => {
    const owner = await loggedIn(at(VIENNA));
    clock.advance(10 * MINUTE);
    expect((await check(elsewhere(owner, at(BERLIN)))).status).toBe(200);
    expect(await told()).toEqual([FAR]);
    expect((await events())[0]?.ip).toBe(BERLIN);
  });

  it('is measured from the last refresh, and is possible within a plane’s reach', async () => {
    const owner = await loggedIn(at(VIENNA));
    clock.advance(60 * MINUTE);
    const traveller = elsewhere(owner, at(BERLIN));
    expect((await traveller.refresh()).status).toBe(200);
    expect((await check(traveller)).status).toBe(200);
    expect((await check(Object.assign(traveller, { headers: at(NOWHERE) }))).status).toBe(200);
    expect(await told()).toEqual([]);
    clock.advance(MINUTE);
    expect((await check(elsewhere(traveller, at(VIENNA)))).status).toBe(200);
    expect(await told()).toEqual([FAR]);
  });

  it('between two logins is reported, too', async () => {
    await loggedIn(at(VIENNA));
    clock.advance(10 * MINUTE);
    const second = await loggedIn(at(BERLIN));
    expect((await check(second)).status).toBe(200);
    expect(await told()).toEqual([FAR]);
  });
});

describe('a copied refresh token', () => {
  beforeEach(() => start({ SUSPICION_COUNTRY: 'off' }));

  it('that is used a second time is reported with both request contexts: of this use, and of the session until then', async () => {
    const owner = await loggedIn({ ...from('AT'), ...by(FIREFOX) });
    const thief = Object.assign(elsewhere(owner, { ...from('DE'), ...by('Thief/1.0') }), {
      deviceToken: undefined,
    });
    expect((await thief.copy().refresh()).status).toBe(200);
    clock.advance(MINUTE);
    expect(await owner.refresh()).toMatchObject({ status: 401, body: { reason: 'refresh_reuse' } });
    const [event] = await a.query(`select * from audit_events where type = 'authn_token_reuse'`);
    expect(event).toMatchObject({
      user_agent: FIREFOX,
      details: {
        presented: { generation: 1, withDeviceToken: true, country: 'AT' },
        expected: { generation: 1, newest: expect.anything() },
        session: { ip: '127.0.0.1', country: 'DE', userAgent: 'Thief/1.0', lastSeenAt: expect.any(String) },
      },
    });
    const reuse = (await mails()).filter(({ template }) => template === 'refresh_reuse');
    expect(reuse).toEqual([
      expect.objectContaining({ recipient: ALICE.email, data: expect.objectContaining({ country: 'AT' }) }),
    ]);
  });
});

it('a mail about a suspicious session takes its facts from the record, and is deleted with it', async () => {
  await start({ SUSPICION_COUNTRY: 'end' });
  const owner = await loggedIn(from('AT'));
  await check(elsewhere(owner, from('DE')));
  const [mail] = await mails();
  expect(mail?.data).toEqual({
    at: expect.any(String),
    device: 'lightMyRequest',
    ip: '127.0.0.1',
    country: 'DE',
    signals: [{ name: 'country', country: 'DE', originCountry: 'AT' }],
  });
});
