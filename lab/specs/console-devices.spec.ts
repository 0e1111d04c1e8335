import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Server } from 'node:http';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { resetStores } from '../../test/support/app.js';
import {
  complaintsIn,
  objectionsTo,
  signIn,
  startConsole,
  type ConsoleServer,
} from '../../test/support/console.js';
import { createUser, loggedIn } from '../../test/support/test-users.js';
import { eventually } from '../../test/support/waiting.js';

/** Longer than any access token lives, and than any grace. */
const EXPIRY_MS = 16 * 60_000;
const REFRESH = '/v1/auth/refresh';

/** Real: Chromium, the console, the server on http://localhost, and its stores. Controlled: the clock of the server. */
describeInChromium('the devices page of the console', () => {
  let app: ConsoleServer;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let email: string;
  let complaints: string[];
  const refreshes: string[] = [];

  beforeAll(async () => {
    await resetStores();
    app = await startConsole({ SESSION_LIMIT: '1000' });
    const server = app.app.getHttpServer() as unknown as Server;
    server.on('request', ({ url = '' }) => url === REFRESH && refreshes.push(url));
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app.close();
  });
  beforeEach(async () => {
    ({ email } = await createUser(app));
    context = await browser.newContext();
    complaints = await complaintsIn(context);
    page = await context.newPage();
    await signIn(page, app.origin, email);
    await page.waitForSelector('.card');
  });
  afterEach(async () => {
    await context.close();
    expect(complaints).toEqual([]);
  });

  /** The user returns to the window. */
  const focus = (on: Page) => on.evaluate(`dispatchEvent(new Event('focus'))`);

  it('shows the browser and the system of each session, and renames a device', async () => {
    await page.waitForSelector('.card h2:has-text("Chrome on Linux")');
    await page.click('button[aria-label="Rename Chrome on Linux"]');
    expect(await page.evaluate('document.activeElement.name')).toBe('name');
    await page.fill('dialog [name=name]', 'Office');
    await page.click('dialog [type=submit]');
    await page.waitForSelector('.card h2:has-text("Office")');
    expect(await page.textContent('.card')).toContain('Chrome on Linux');
    expect(await objectionsTo(page, 'devices')).toEqual([]);
  });

  it('says which session is bound to its device', async () => {
    const { id } = await loggedIn(app, { email });
    await app.query(
      `update sessions set device_key = '{}', bound_at = now(), binding_version = 1 where id = $1`,
      [id],
    );
    await focus(page);
    await eventually(async () => expect(await page.locator('.card').count()).toBe(2));
    expect(await page.locator('.card .badge:has-text("bound to the device")').count()).toBe(1);
    expect(await objectionsTo(page, 'a-bound-device')).toEqual([]);
  });

  it('shows a new session when the user returns to the window, and ends all other sessions', async () => {
    const other = await loggedIn(app, { email });
    await focus(page);
    await eventually(async () => expect(await page.locator('.card').count()).toBe(2));
    expect(await objectionsTo(page, 'two-devices')).toEqual([]);
    await page.click('main button:has-text("End all other sessions")');
    await page.click('dialog [type=submit]');
    await eventually(async () => expect(await page.locator('.card').count()).toBe(1));
    expect(await other.get('/v1/users/me')).toMatchObject({ status: 401, body: { reason: 'logout_others' } });
  });

  it('ends a session in another browser, whose page says why within a moment, without a click', async () => {
    const elsewhere = await browser.newContext();
    const theirs = await complaintsIn(elsewhere);
    const other = await elsewhere.newPage();
    await signIn(other, app.origin, email, { path: '/console/security' });
    await other.waitForSelector('h1:has-text("Security")');
    await focus(page);
    await page.click('button[aria-label^="End session of"]');
    await page.click('dialog [type=submit]');
    await other.waitForSelector('h1:has-text("Sign in")');
    await other.waitForSelector('[role=status]:has-text("You are signed out.")');
    expect(new URL(other.url()).pathname).toBe('/console/security');
    expect(await objectionsTo(other, 'ended')).toEqual([]);
    await elsewhere.close();
    expect(theirs).toEqual([]);
  });

  it('says in all tabs why an admin has ended the session', async () => {
    const second = await context.newPage();
    await second.goto(`${app.origin}/console/security`);
    await second.waitForSelector('h1:has-text("Security")');
    const admin = await loggedIn(app, await createUser(app, ['admin']));
    const [user] = await app.query<{ id: string }>('select id from users where email = $1', [email]);
    expect(await admin.delete(`/v1/admin/users/${user!.id}/sessions`)).toMatchObject({ status: 200 });
    for (const tab of [page, second])
      await tab.waitForSelector('[role=alert]:has-text("An administrator ended this session.")');
  });

  it('in three tabs refreshes once for all after the access token has expired, and all go on', async () => {
    const tabs = [page, await context.newPage(), await context.newPage()];
    for (const tab of tabs.slice(1)) await tab.goto(`${app.origin}/console`);
    for (const tab of tabs) await tab.waitForSelector('.card');
    refreshes.splice(0);
    app.clock.advance(EXPIRY_MS);
    const answers = tabs.map((tab) =>
      tab.waitForResponse((answer) => answer.url() === `${app.origin}/v1/sessions` && answer.ok()),
    );
    await Promise.all(tabs.map(focus));
    await Promise.all(answers);
    expect(refreshes).toEqual([REFRESH]);
    for (const tab of tabs) expect(await tab.isVisible('.card')).toBe(true);
  });
});
