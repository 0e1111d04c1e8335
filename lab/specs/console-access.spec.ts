import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { createKey, machineWith } from '../../test/support/api-keys.js';
import { resetStores } from '../../test/support/app.js';
import {
  expectAccessible,
  openPage,
  signIn,
  startConsole,
  type ConsolePage,
  type ConsoleServer,
} from '../../test/support/console.js';
import { createUser, loggedIn, type TestUser } from '../../test/support/test-users.js';

const FLAGS = '/v1/probe/flags';
const SECRET = /dbk_\w+/;
const MINUTE_MS = 60_000;

/** Real: Chromium, the built console, the server on http://localhost, PostgreSQL, the cache. */
describeInChromium('the page of API keys and apps', () => {
  let app: ConsoleServer;
  let browser: Browser;
  let owner: TestUser;
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
    owner = await loggedIn(app, await createUser(app));
    page = await openPage(browser);
  });
  afterEach(async () => {
    expect(page.complaints).toEqual([]);
    await page.context().close();
  });

  const open = async () => {
    await signIn(page, app.origin, owner.email, { path: '/console/access' });
    await button('Create an API key').waitFor();
  };
  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const inDialog = (name: string) => page.getByRole('dialog').getByRole('button', { name, exact: true });
  const shownSecret = async () => SECRET.exec(await page.locator('code.secret').innerText())![0];
  const statusOf = async (key: string) => (await machineWith(app, key).get(FLAGS)).status;
  const rotate = async (overlap: string) => {
    const before = await shownSecret();
    await button('Rotate key CI').click();
    await page.getByLabel('The former secret is accepted').selectOption({ label: overlap });
    await inDialog('Rotate').click();
    await page.getByText(before).waitFor({ state: 'detached' });
    return shownSecret();
  };

  it('creates a key, shows it once, and stores it nowhere in the browser', async () => {
    await open();
    await button('Create an API key').click();
    await page.getByLabel('Name').fill('CI');
    await page.getByLabel('probe:read').check();
    await page.getByLabel('Networks').fill('127.0.0.1 192.0.2.0/24');
    await expectAccessible(page);
    await inDialog('Create an API key').click();
    const key = await shownSecret();
    expect(await statusOf(key)).toBe(200);
    const { body } = await owner.get('/v1/api-keys');
    expect(body.items).toMatchObject([
      { name: 'CI', scopes: ['probe:read'], networks: ['127.0.0.1', '192.0.2.0/24'] },
    ]);
    await expectAccessible(page);
    expect(await page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe('The secret of CI');
    const stored = 'JSON.stringify([localStorage, sessionStorage, document.cookie])';
    expect(await page.evaluate(stored)).not.toContain(key);
    await button('I have stored it').click();
    await page.reload();
    await page.getByRole('heading', { name: 'CI' }).waitFor();
    expect(await page.content()).not.toContain(key);
  });

  it('says which value the server does not accept', async () => {
    await open();
    await button('Create an API key').click();
    await page.getByLabel('Name').fill('CI');
    await inDialog('Create an API key').click();
    await page.getByRole('alert').getByText('must name at least one scope').waitFor();
  });

  it('rotates a key: the former secret is accepted for the overlap, or no longer', async () => {
    await open();
    await button('Create an API key').click();
    await page.getByLabel('Name').fill('CI');
    await page.getByLabel('probe:read').check();
    await inDialog('Create an API key').click();
    const first = await shownSecret();
    const second = await rotate('for one more day');
    await page.getByText('no program has used the former secret').waitFor();
    expect([await statusOf(first), await statusOf(second)]).toEqual([200, 200]);
    const third = await rotate('no longer, as after a leak');
    await page.getByText('The former secret has ended. Applied on all instances.').waitFor();
    expect([await statusOf(second), await statusOf(third)]).toEqual([401, 200]);
  });

  it('ends a key after a question', async () => {
    const { key } = await createKey(owner, { name: 'CI' });
    await open();
    await button('End key CI').click();
    await inDialog('Cancel').click();
    expect(await statusOf(key)).toBe(200);
    expect(await page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe('End key CI');
    await button('End key CI').click();
    await inDialog('End key').click();
    await page.getByText('The key has ended. Applied on all instances.').waitFor();
    expect(await statusOf(key)).toBe(401);
    await page.getByText('The owner ended it.').waitFor();
    expect(await button('End key CI').count()).toBe(0);
  });

  it('asks for a proof of identity in place if the last one is too old, and then ends the key', async () => {
    const { key } = await createKey(owner, { name: 'CI' });
    await open();
    await app.query(`update sessions set authenticated_at = authenticated_at - interval '6 min'`);
    await page.reload();
    await button('End key CI').click();
    await inDialog('End key').click();
    await page.getByRole('heading', { name: 'Confirm that it is you' }).waitFor();
    await expectAccessible(page);
    await page.getByRole('dialog').getByLabel('Password', { exact: true }).fill('drawbridge demo password');
    await inDialog('Confirm').click();
    await page.getByText('The key has ended. Applied on all instances.').waitFor();
    expect(await statusOf(key)).toBe(401);
  });

  it('counts down to the bound of a pending receipt, because only admins may ask how it stands', async () => {
    await createKey(owner, { name: 'CI' });
    await page.clock.install();
    await open();
    const bound = new Date(Date.now() + 5 * MINUTE_MS).toISOString();
    const receipt = {
      status: 'pending',
      seq: 1,
      endedSessions: 0,
      sessionTierBy: bound,
      accessTierBy: bound,
    };
    await page.route('**/v1/api-keys/*', (route) => route.fulfill({ status: 202, json: receipt }));
    await button('End key CI').click();
    await inDialog('End key').click();
    await page.getByText(/Pending\. In force on all instances at .+ at the latest\./).waitFor();
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    await page.clock.fastForward(6 * MINUTE_MS);
    await page.getByText('The key has ended. Applied on all instances.').waitFor();
    expect(requests.filter((url) => url.includes('/v1/admin'))).toEqual([]);
  });

  it('shows no section of apps if the server has no such list', async () => {
    await page.route('**/v1/grants', (route) =>
      route.fulfill({ status: 404, json: { code: 'resource.not_found', title: 'Not found', status: 404 } }),
    );
    await signIn(page, app.origin, owner.email, { path: '/console/access' });
    await button('Create an API key').waitFor();
    expect(await page.getByRole('heading', { level: 2 }).allTextContents()).toEqual(['API keys']);
  });
});
