import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { ADMIN, resetStores } from '../../test/support/app.js';
import {
  expectAccessible,
  openPage,
  signIn,
  startConsole,
  type ConsolePage,
  type ConsoleServer,
} from '../../test/support/console.js';
import { APPS_ENV, appOf } from '../../test/support/oauth.js';
import { createUser, loggedIn, type TestUser } from '../../test/support/test-users.js';

const ENDED = 'The app has no access any more. Applied on all instances.';

/** Real: Chromium, the built console, the server on http://localhost, PostgreSQL, the cache. Simulated: the app. */
describeInChromium('an app with access, in the console', () => {
  let app: ConsoleServer;
  let browser: Browser;
  let owner: TestUser;
  let page: ConsolePage;

  beforeAll(async () => {
    await resetStores();
    app = await startConsole(APPS_ENV);
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app?.close();
  });
  beforeEach(async () => {
    owner = await loggedIn(app, await createUser(app));
    await appOf(app, owner, ['probe:read']);
    page = await openPage(browser);
  });
  afterEach(async () => {
    expect(page.complaints).toEqual([]);
    await page.context().close();
  });

  /** Clicks a button, and confirms in the dialog that opens. */
  const confirm = async (name: string, confirmation: string) => {
    await page.getByRole('button', { name, exact: true }).click();
    await page.getByRole('dialog').getByRole('button', { name: confirmation, exact: true }).click();
  };
  const grants = async () => (await owner.get('/v1/grants')).body.items as object[];
  const openAsAdmin = () => signIn(page, app.origin, ADMIN.email, { path: `/console/users/${owner.userId}` });

  it('is shown to its user, who ends the access', async () => {
    await signIn(page, app.origin, owner.email, { path: '/console/access' });
    await page.getByText('also after a logout').waitFor();
    await expectAccessible(page);
    await confirm('End access of Notes', 'End access');
    await page.getByText(ENDED).waitFor();
    expect(await grants()).toMatchObject([{ status: 'ended', endReason: 'revoked' }]);
  });

  it('is shown to admins, who end the access', async () => {
    await openAsAdmin();
    await confirm('End access of Notes', 'End access');
    await page.getByText(ENDED).waitFor();
    expect(await grants()).toMatchObject([{ status: 'ended', endReason: 'admin' }]);
  });

  it('loses its access when an admin signs its user out everywhere, and the page shows that', async () => {
    await openAsAdmin();
    await page.getByRole('button', { name: 'End access of Notes' }).waitFor();
    await confirm('Sign out everywhere', 'Sign out everywhere');
    await page.getByText('The user is signed out everywhere. Applied on all instances.').waitFor();
    await page.getByRole('button', { name: 'End access of Notes' }).waitFor({ state: 'detached' });
  });
});
