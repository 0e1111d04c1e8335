import { afterAll, afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { describeInFirefox, startFirefox } from '../../packages/client/test/browser/firefox.js';
import { ADMIN, PASSWORD, resetClock, resetStores } from '../../test/support/app.js';
import {
  axeViolations,
  openPage,
  signIn,
  startConsole,
  type ConsolePage,
  type ConsoleServer,
} from '../../test/support/console.js';
import { Mailbox } from '../../test/support/mailbox.js';
import { createUser, loggedIn } from '../../test/support/test-users.js';
import { eventually } from '../../test/support/waiting.js';

/** Longer than any access token lives, and than any grace. */
const EXPIRY_MS = 16 * 60_000;

/** Firefox reports requests that the server refused. The attacks of the heist make some on purpose. */
const OF_REFUSALS =
  /Cross-Origin-Resource-Policy|Cross-Origin Request Blocked|“frame-ancestors 'none'”|content security policy: script-src-attr/;

/**
 * Real: Firefox, the console, two instances with their stores. The same flows have their details tested in Chromium; here
 * each is walked through once.
 */
describeInFirefox('the console in Firefox', () => {
  let a: ConsoleServer;
  let b: ConsoleServer;
  let browser: Browser;
  let page: ConsolePage;
  let email: string;

  beforeAll(async () => {
    jest.spyOn(console, 'log').mockImplementation(() => undefined); // development prints its mails
    await resetStores();
    const env = {
      NODE_ENV: 'development',
      API_DOCS: 'true',
      SESSION_LIMIT: '1000',
      DATA_DIR: mkdtempSync(join(tmpdir(), 'drawbridge-firefox-')),
    };
    [a, b] = [await startConsole(env), await startConsole(env)];
    browser = await startFirefox();
  });
  beforeEach(async () => {
    ({ email } = await createUser(a));
    page = await openPage(browser);
  });
  afterEach(async () => {
    await page.context().close();
    expect(page.complaints.filter((complaint) => !OF_REFUSALS.test(complaint))).toEqual([]);
    await resetClock(a);
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([a?.close(), b?.close()]);
    jest.restoreAllMocks();
  });

  const says = (text: string, on = page) => on.getByText(text).first().waitFor();
  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const inDialog = (name: string) => page.getByRole('dialog').getByRole('button', { name, exact: true });
  /** Neither axe nor the width of a phone objects to the page as it is now. */
  const expectUsable = async () => {
    expect(await axeViolations(page)).toEqual([]);
    await page.setViewportSize({ width: 375, height: 800 });
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    await page.setViewportSize({ width: 1100, height: 800 });
  };

  it('refuses a wrong password in words, then shows the devices of the user, and ends one in another browser', async () => {
    await page.goto(`${a.origin}/console`);
    await page.getByLabel('E-mail address').fill(email);
    await page.getByLabel('Password', { exact: true }).fill('a wrong password');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await says('The e-mail address or the password is wrong.');
    await expectUsable();
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await says('Firefox on Linux');
    await expectUsable();

    const other = await openPage(browser);
    await signIn(other, b.origin, email);
    await page.evaluate(`dispatchEvent(new Event('focus'))`);
    await page.getByRole('button', { name: /^End session of/ }).click();
    await page.getByRole('dialog').locator('[type=submit]').click();
    await says('You are signed out.', other);
    expect(other.complaints).toEqual([]);
    await other.context().close();
  });

  it('refreshes once for all of three tabs, and says in all of them why an admin ended the session', async () => {
    await signIn(page, a.origin, email);
    const tabs = [page, await page.context().newPage(), await page.context().newPage()];
    for (const tab of tabs.slice(1)) await tab.goto(`${a.origin}/console`);
    for (const tab of tabs) await says('this device', tab as ConsolePage);
    const refreshes: string[] = [];
    for (const tab of tabs)
      tab.on('response', (answer) => answer.url().endsWith('/auth/refresh') && refreshes.push(answer.url()));
    a.clock.advance(EXPIRY_MS);
    const answers = tabs.map((tab) =>
      tab.waitForResponse((answer) => answer.url() === `${a.origin}/v1/sessions` && answer.ok()),
    );
    for (const tab of tabs) await tab.evaluate(`dispatchEvent(new Event('focus'))`);
    await Promise.all(answers);
    expect(refreshes).toHaveLength(1);

    await resetClock(a);
    const admin = await loggedIn(b, ADMIN);
    const [user] = await a.query<{ id: string }>('select id from users where email = $1', [email]);
    expect(await admin.delete(`/v1/admin/users/${user!.id}/sessions`)).toMatchObject({ status: 200 });
    for (const tab of tabs) await says('An administrator ended this session.', tab as ConsolePage);
  });

  it('asks for the password in place when the last proof is too old, and then makes the key', async () => {
    await signIn(page, a.origin, email, { path: '/console/access' });
    await button('Create an API key').click();
    await page.getByLabel('Name').fill('nightly export');
    await page.getByRole('dialog').getByRole('checkbox').first().check();
    await expectUsable();
    a.clock.advance(EXPIRY_MS);
    await inDialog('Create an API key').click();
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await inDialog('Confirm').click();
    await button('I have stored it').waitFor();
  });

  it('sets a new password with the link of a mail', async () => {
    const mailbox = new Mailbox(a);
    await page.goto(`${a.origin}/console/forgot-password`);
    await page.locator('[name=email]').fill(email);
    await button('Send the link').click();
    await page.getByRole('heading', { name: 'Look into your mailbox' }).waitFor();
    await page.goto(`${a.origin}/reset-password#token=${await mailbox.tokenFor(email)}`);
    await page.locator('[name=newPassword]').fill('a pass phrase that is long and unusual');
    await expectUsable();
    await button('Set the password').click();
    await says('Your password is set.');
  });

  it('shows an admin the end of all sessions of a user on both instances, and the event', async () => {
    const user = await loggedIn(b, { email });
    await signIn(page, a.origin, ADMIN.email, { path: '/console/live' });
    await eventually(async () => expect(await page.locator('.lane').count()).toBeGreaterThanOrEqual(2));
    await page.goto(`${a.origin}/console/users?query=${email}`);
    await page.getByRole('link', { name: email }).click();
    await button('Sign out everywhere').click();
    await inDialog('Sign out everywhere').click();
    await says('The user is signed out everywhere.');
    await expectUsable();
    expect(await user.get('/v1/users/me')).toMatchObject({ status: 401, body: { reason: 'admin' } });
    await page.goto(`${a.origin}/console/events?type=session_ended`);
    await page.getByRole('heading', { name: 'Session ended', exact: true }).first().waitFor();
    await expectUsable();
  });

  it('shows both tiers side by side in the playground', async () => {
    await signIn(page, a.origin, email);
    await page.goto(`${a.origin}/console/playground`);
    await button('Send both').click();
    await eventually(async () => expect(await page.getByText('200').count()).toBeGreaterThanOrEqual(2));
    await expectUsable();
  });

  it('performs the four acts of the heist with the verdicts that Chromium shows', async () => {
    await page.goto(`${a.origin}/console/heist`);
    const verdicts = ['Stolen', 'Nothing to steal', 'Refused', 'Caught'];
    for (const [index, verdict] of verdicts.entries()) {
      const run = page.getByRole('button', { name: `Run act ${index + 1}` });
      const section = page.locator('section').filter({ has: run });
      await run.click();
      await section.getByRole('heading', { name: 'The code that decides it' }).waitFor();
      expect(await section.locator('.notice').first().textContent()).toMatch(new RegExp(`^${verdict} `));
    }
  });

  it('logs in, and reads with the session on the page of the API', async () => {
    await page.goto(`${a.origin}/docs`);
    for (const operation of ['auth_login', 'auth_whoami']) {
      const block = page.locator(`.opblock[id$="-${operation}"]`);
      await block.locator('.opblock-summary-control').click();
      await block.locator('.execute').click();
      const status = block.locator('.live-responses-table .response-col_status').last();
      await status.waitFor();
      expect(Number.parseInt((await status.textContent())!, 10)).toBe(200);
    }
  });
});
