import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { texts } from '../../packages/console/src/texts.js';
import { auditEventTypes } from '../../src/platform/audit/audit-event-types.js';
import { createKey } from '../../test/support/api-keys.js';
import { ADMIN, resetStores } from '../../test/support/app.js';
import {
  expectAccessible,
  openPage,
  signIn,
  startConsole,
  type ConsolePage,
  type ConsoleServer,
} from '../../test/support/console.js';
import { createUser, loggedIn, type TestUser } from '../../test/support/test-users.js';

const HOUR_MS = 3_600_000;
/** Tokyo has no daylight saving time. */
const TOKYO_MS = 9 * HOUR_MS;

it('the console has a name for each type of event of the server, and for no other', () => {
  expect(Object.keys(texts.events.types).sort()).toEqual(auditEventTypes().sort());
});

/** Real: Chromium, the built console, the server on http://localhost, PostgreSQL, the cache. */
describeInChromium('the page of audit events', () => {
  let app: ConsoleServer;
  let browser: Browser;
  let user: TestUser;
  let page: ConsolePage;

  beforeAll(async () => {
    await resetStores();
    app = await startConsole();
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app?.close();
  });
  beforeEach(async () => {
    user = await loggedIn(app, await createUser(app));
    page = await openPage(browser);
  });
  afterEach(async () => {
    expect(page.complaints).toEqual([]);
    await page.context().close();
  });

  const open = (path = '/console/events') => signIn(page, app.origin, ADMIN.email, { path });
  const rows = () => page.locator('.events > li');
  const filter = () => page.getByRole('button', { name: 'Filter', exact: true }).click();
  const names = () => page.locator('.events h2').allInnerTexts();
  /** The names of the listed events, after the address has this query. */
  const listed = async (query: Record<string, string>) => {
    await page.waitForURL((url) => {
      const asked = Object.fromEntries(url.searchParams);
      return Object.entries(query).every(([name, value]) => asked[name] === value);
    });
    await page.getByRole('button', { name: 'Clear filters' }).waitFor();
    await rows().first().waitFor();
    return names();
  };

  it('shows the newest first, with the details as a list of terms and a link to the user', async () => {
    await createKey(user, { name: 'CI', networks: ['192.0.2.0/24'] });
    await open();
    await rows().first().waitFor();
    const row = rows().filter({ hasText: 'API key created' });
    await row.getByText('Details').click();
    await row.getByText('probe:read, probe:write').waitFor();
    const terms = await row.locator('dt').allInnerTexts();
    expect(terms).toEqual(
      expect.arrayContaining(['Scopes', 'Networks', 'Time', 'Type', 'Session', 'Request']),
    );
    expect(await row.innerText()).not.toMatch(/[{}"]/);
    await expectAccessible(page);
    await row.getByRole('link', { name: user.email }).click();
    await page.getByRole('heading', { name: user.email, level: 1 }).waitFor();
  });

  it('filters by the address of a user and by type, and the address of the page keeps the filter', async () => {
    await createKey(user, { name: 'CI' });
    await createKey(await loggedIn(app, await createUser(app)), { name: 'of another user' });
    await open();
    await page.getByLabel('User').fill(user.email.toUpperCase());
    await page.getByLabel('Type').selectOption({ label: 'API key created' });
    await filter();
    const query = { userId: user.userId, type: 'api_key_created' };
    expect(await listed(query)).toEqual(['API key created']);
    await page.reload();
    expect(await listed(query)).toEqual(['API key created']);
    expect(await page.getByLabel('User').inputValue()).toBe(user.email);
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await rows().nth(2).waitFor();
    expect(new URL(page.url()).search).toBe('');
  });

  it('filters by time, in the time zone of the browser', async () => {
    await page.context().close();
    page = await openPage(browser, { timezoneId: 'Asia/Tokyo' });
    const anHourAgo = new Date(Date.now() - HOUR_MS + TOKYO_MS).toISOString().slice(0, 16);
    await createKey(user, { name: 'CI' });
    await open();
    await page.getByLabel('Type').selectOption({ label: 'API key created' });
    await page.getByLabel('From').fill(anHourAgo);
    await filter();
    expect(await listed({ type: 'api_key_created' })).toContain('API key created');
    expect(await page.getByLabel('From').inputValue()).toBe(anHourAgo);
    await page.getByLabel('From').fill('');
    await page.getByLabel('To').fill(anHourAgo);
    await filter();
    await page.getByText('No event matches.').waitFor();
  });

  it('says that no user has an address, and lists nothing else for it', async () => {
    await open();
    await rows().first().waitFor();
    const before = await names();
    await page.getByLabel('User').fill('unknown@example.com');
    await filter();
    await page.getByText('No user has this e-mail address.').waitFor();
    expect(await names()).toEqual(before);
    expect(new URL(page.url()).search).toBe('');
  });

  it('shows the events of a user from the page of the user, and more of them on request', async () => {
    for (let count = 0; count < 13; count++) {
      const { id } = await createKey(user, { name: `key ${count}` });
      expect((await user.delete(`/v1/api-keys/${id}`)).status).toBe(200);
    }
    await open(`/console/users/${user.userId}`);
    await page.getByRole('link', { name: 'Events of this user' }).click();
    await page.getByRole('button', { name: 'Show more' }).waitFor();
    expect(await rows().count()).toBe(25);
    await page.getByRole('button', { name: 'Show more' }).click();
    await rows().nth(25).waitFor();
    await page.getByRole('button', { name: 'Show more' }).waitFor({ state: 'detached' });
    expect(new Set(await rows().getByRole('link').allInnerTexts())).toEqual(new Set([user.email]));
  });
});
