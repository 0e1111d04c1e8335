import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { parseRefreshToken } from '../../src/sessions/refresh/refresh-token.js';
import type { Transport } from '../../src/sessions/session.entity.js';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { backupForms } from '../../test/support/backups.js';
import type { Client } from '../../test/support/client.js';
import { TestClock } from '../../test/support/clock.js';
import { expectBothTiers, loggedIn, type Person } from '../../test/support/test-users.js';
import { COOKIES } from '../../test/support/cookies.js';

/** Real: PostgreSQL, its own copy and `pg_dump`, Redis where available. The application is stopped meanwhile. */

const DAY = 86_400_000;
const UNKNOWN = { status: 401, body: { code: 'auth.invalid_token' } };
const REUSE = { status: 401, body: { code: 'auth.session_ended', reason: 'refresh_reuse' } };
const TRANSPORTS: Transport[] = ['cookie', 'bearer'];

const cases = backupForms().flatMap((backups) => TRANSPORTS.map((transport) => ({ ...backups, transport })));

describe.each(cases)('a database restored from $form of it, by $transport', ({ take, transport }) => {
  const clock = new TestClock();
  const logged: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) });
  let app: TestApp;
  let drop: () => Promise<void>;
  let ahead: Person;
  let oneAhead: Person;
  let asBackedUp: Client;
  let usedUp: Client;
  let unchanged: Person;

  const start = (url: string) => startApp({ clock, logger, env: { DATABASE_URL: url } });
  const refreshes = async (client: Client, times: number) => {
    for (let round = 0; round < times; round++) {
      clock.advance(DAY);
      expect((await client.at(app).refresh()).status).toBe(200);
    }
  };

  beforeAll(async () => {
    await resetStores();
    const url = process.env['TEST_DATABASE_URL']!;
    app = await start(url);
    [ahead, oneAhead, unchanged] = [
      await loggedIn(app, ALICE, transport),
      await loggedIn(app, ALICE, transport),
      await loggedIn(app, ALICE, transport),
    ];
    usedUp = unchanged.copy();
    for (const client of [ahead, oneAhead, unchanged]) await refreshes(client, 3);
    asBackedUp = ahead.copy();

    await app.close();
    const backup = await take(url);
    app = await start(url);
    await refreshes(ahead, 3);
    await refreshes(oneAhead, 1);

    await app.close();
    const restored = await backup.restore();
    drop = restored.drop;
    app = await start(restored.url);
    clock.advance(DAY);
    for (const client of [ahead, oneAhead, unchanged, asBackedUp, usedUp]) client.at(app);
  });
  afterAll(async () => {
    await app.close();
    await drop();
  });

  const alerts = ({ id }: Person) =>
    app.query('select user_id, details from audit_events where session_id = $1 and type = $2', [
      id,
      'authn_token_unknown',
    ]);
  const statusOf = async ({ id }: Person) =>
    (await app.query<{ status: string }>('select status from sessions where id = $1', [id]))[0]!.status;
  const generationOf = ({ refreshToken, jar }: Client) =>
    parseRefreshToken(refreshToken ?? jar.get(COOKIES.refresh)!)!.generation;

  it('refuses a token that is newer than it, with an alert, and ends no session for it', async () => {
    for (const person of [ahead, oneAhead]) {
      const generation = generationOf(person);
      logged.length = 0;
      expect(await person.copy().refresh()).toMatchObject(UNKNOWN);
      const presented = { generation, sibling: 1, withDeviceToken: true };
      const alert = { user_id: person.userId, details: expect.objectContaining({ presented }) };
      expect(await alerts(person)).toEqual([alert]);
      expect(logged).toEqual([expect.stringMatching(/newer than the database: was it restored/)]);
      expect(await statusOf(person)).toBe('active');
    }
  });

  it('refuses such a token without the device token, too', async () => {
    const bare = oneAhead.copy();
    bare.jar.delete(COOKIES.device);
    bare.deviceToken = undefined;
    expect(await bare.refresh()).toMatchObject(UNKNOWN);
    expect(await statusOf(oneAhead)).toBe('active');
  });

  it('lets a user whose session it does not have log in again, on the same device', async () => {
    expect((await oneAhead.login(ALICE.email, PASSWORD, { transport })).status).toBe(200);
    await expectBothTiers(oneAhead.copy(), { status: 200 });
    await refreshes(oneAhead, 2);
    await expectBothTiers(oneAhead.copy(), { status: 200 });
  });

  it('accepts the tokens that it knows', async () => {
    for (const client of [unchanged, asBackedUp]) {
      await refreshes(client, 3);
      await expectBothTiers(client.copy(), { status: 200 });
    }
  });

  it('still detects the reuse of a token that was used before the backup [REF-06]', async () => {
    expect(await usedUp.refresh()).toMatchObject(REUSE);
    expect(await unchanged.refresh()).toMatchObject(REUSE);
  });
});
