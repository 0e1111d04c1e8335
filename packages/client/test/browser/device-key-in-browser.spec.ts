import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../../../test/support/app.js';
import { freePort } from '../../../../test/support/outside-person.js';
import { describeInChromium, serveClientPages, startChromium } from './chromium.js';

const EXPIRY = 16 * 60_000;
const STATUS = `tab.call('/v1/sessions/current')`;

/**
 * Real: Chromium with its own WebCrypto and IndexedDB; the built client; the server on http://localhost with default
 * settings, and its stores. Controlled: the server's clock. The browser's clock stays behind, so proofs need a nonce.
 */
describeInChromium('a device key in a browser', () => {
  let app: TestApp;
  let browser: Browser;
  let context: BrowserContext;
  let origin: string;

  beforeAll(async () => {
    await resetStores();
    const port = await freePort();
    app = await startApp({ env: { PORT: String(port), SESSION_LIMIT: '1000' } });
    await app.app.listen(port, '127.0.0.1');
    origin = `http://localhost:${port}`;
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    await serveClientPages(context);
  });
  afterEach(() => context.close());

  async function open(key = '&key'): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`${origin}/app/?transport=bearer${key}`);
    await page.waitForFunction('window.tab');
    return page;
  }
  const logIn = (page: Page) => page.evaluate(`tab.logIn('${ALICE.email}', '${PASSWORD}')`);
  const keys = async () =>
    (
      await app.query<{ x: string }>(
        `select distinct device_key->>'x' as x from sessions where status = 'active' and device_key is not null`,
      )
    ).map(({ x }) => x);

  it('is kept over a reload, and no script can read its private part', async () => {
    const page = await open();
    await logIn(page);
    expect(await keys()).toHaveLength(1);
    app.clock.advance(EXPIRY);
    await page.reload();
    await page.waitForFunction('window.tab');
    expect(await page.evaluate(STATUS)).toBe(200);
    const read = `new Promise((resolve) => {
      const opening = indexedDB.open('device-key');
      opening.onsuccess = () => {
        const asked = opening.result.transaction('keys').objectStore('keys').get(0);
        asked.onsuccess = () => resolve(asked.result.privateKey);
      };
    })`;
    expect(await page.evaluate(`${read}.then(({ extractable }) => extractable)`)).toBe(false);
    for (const format of ['jwk', 'pkcs8'])
      expect(
        await page.evaluate(
          `${read}.then((key) => crypto.subtle.exportKey('${format}', key)).catch(({ name }) => name)`,
        ),
      ).toBe('InvalidAccessError');
  });

  it('is the same for two tabs that make it at once', async () => {
    const before = await keys();
    const pages = [await open(), await open()];
    await Promise.all(pages.map(logIn));
    const made = (await keys()).filter((x) => !before.includes(x));
    expect(made).toHaveLength(1);
    app.clock.advance(EXPIRY);
    for (const page of pages) expect(await page.evaluate(STATUS)).toBe(200);
  });

  it('that is lost costs a step-up, and copied tokens are worth nothing without it', async () => {
    const page = await open();
    await logIn(page);
    const tokens = await page.evaluate('localStorage.tokens');
    app.clock.advance(EXPIRY);
    const thief = await (await browser.newContext()).newPage();
    await thief
      .context()
      .route('**/app/**', (route) => route.fulfill({ contentType: 'text/html', body: '' }));
    await thief.goto(`${origin}/app/`);
    const { refreshToken } = JSON.parse(tokens as string) as { refreshToken: string };
    const refresh = `fetch('/v1/auth/refresh', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ refreshToken: '${refreshToken}' }),
    }).then((answer) => answer.json()).then(({ code, deviceKey }) => [code, deviceKey])`;
    expect(await thief.evaluate(refresh)).toEqual(['auth.reauthentication_required', 'unproven']);
    await thief.context().close();
    expect(await page.evaluate(STATUS)).toBe(200);

    await page.evaluate(`new Promise((resolve) => {
      indexedDB.deleteDatabase('device-key').onsuccess = resolve;
    })`);
    app.clock.advance(EXPIRY);
    await page.reload();
    await page.waitForFunction('window.tab');
    expect(await page.evaluate(STATUS)).toBe(401);
    expect(await page.evaluate('tab.told')).toEqual([]);
    await page.evaluate(`tab.client.reauthenticate({ password: '${PASSWORD}' })`);
    expect(await page.evaluate(STATUS)).toBe(200);
    app.clock.advance(EXPIRY);
    expect(await page.evaluate(STATUS)).toBe(200);
  });
});
