import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { ALICE, resetClock, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { freePort } from '../../test/support/outside-person.js';

const AXE = readFileSync('node_modules/axe-core/axe.min.js', 'utf8');

/** Real: Chromium, the page, the server on http://localhost, and its stores. Simulated: the time of the server. */
describeInChromium('the page of the API', () => {
  let app: TestApp;
  let origin: string;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  /** Faults of the page: errors on its console, broken policies, requests to other servers. */
  const complaints: string[] = [];
  /** The requests to the API, as in `POST /v1/auth/login 200`. */
  const calls: string[] = [];

  beforeAll(async () => {
    await resetStores();
    const port = await freePort();
    app = await startApp({ env: { API_DOCS: 'true', PORT: String(port) } });
    await app.app.listen(port, '127.0.0.1');
    origin = `http://localhost:${port}`;
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app.close();
  });
  beforeEach(() => {
    complaints.length = 0;
    calls.length = 0;
  });
  afterEach(async () => {
    await context.close();
    await resetClock(app);
  });

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<void> {
    context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      // A refused access token is an answer with an error status, which Chromium also reports.
      const isRefusal = message.text().includes('status of 401');
      if (['error', 'warning'].includes(message.type()) && !isRefusal) complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== origin)
        complaints.push(`a request to ${request.url()}`);
    });
    page.on('response', (response) => {
      const { pathname } = new URL(response.url());
      if (pathname.startsWith('/v1/'))
        calls.push(`${response.request().method()} ${pathname} ${response.status()}`);
    });
    await page.goto(`${origin}/docs`);
    await page.waitForSelector('.opblock .badge');
  }

  const block = (operation: string) => page.locator(`.opblock[id$="-${operation}"]`);

  /** Opens an operation as a person does, by its row. */
  async function unfold(operation: string): Promise<void> {
    const row = block(operation).locator('.opblock-summary-control');
    if ((await row.getAttribute('aria-expanded')) !== 'true') await row.click();
    await block(operation).locator('.execute').waitFor();
  }

  /** Presses "Execute". @returns the status of the answer */
  async function execute(operation: string): Promise<number> {
    await unfold(operation);
    const clear = block(operation).locator('.btn-clear');
    if (await clear.isVisible()) await clear.click();
    await block(operation).locator('.execute').click();
    const status = block(operation).locator('.live-responses-table .response-col_status').last();
    await status.waitFor();
    return Number.parseInt((await status.textContent())!, 10);
  }

  const logInAsApp = async () => {
    await unfold('auth_login');
    await block('auth_login')
      .locator('.opblock-section-request-body .examples-select-element')
      .selectOption('app');
    expect(await execute('auth_login')).toBe(200);
  };
  const expireAccessToken = () => app.clock.advance(20 * 60_000);

  it('shows the tier, the role and the scope of an operation before it is opened', async () => {
    await open();
    const badges = (operation: string) => block(operation).locator('.badge').allTextContents();
    expect(await badges('auth_login')).toEqual(['public']);
    expect(await badges('auth_whoami')).toEqual(['access']);
    expect(await badges('sessions_endMany')).toEqual(['session']);
    expect(await badges('adminUsers_setRoles')).toEqual(['fresh', 'admin']);
    expect(await badges('probe_pay')).toEqual(['session', 'key: probe:write']);
    expect(await block('sessions_endMany').locator('.opblock-summary-description').textContent()).toBe(
      'End all my sessions',
    );
    expect(complaints).toEqual([]);
  });

  it('logs in, pays and lists sessions with its prefilled requests, by cookies', async () => {
    await open();
    expect(await execute('sessions_list')).toBe(401);
    expect(await execute('auth_login')).toBe(200);
    expect(await execute('sessions_list')).toBe(200);
    expect(await execute('probe_pay')).toBe(201);
    const [payment] = await app.query(
      'select amount, currency from probe_payments order by created_at desc limit 1',
    );
    expect(payment).toMatchObject({ currency: 'EUR' });
    const headers = await block('probe_pay').locator('.curl').textContent();
    expect(headers).not.toContain('Authorization');
    expect(complaints).toEqual([]);
  });

  it('refreshes the cookies when the access token has expired, and repeats the request', async () => {
    await open();
    expect(await execute('auth_login')).toBe(200);
    expireAccessToken();
    calls.length = 0;
    expect(await execute('users_me')).toBe(200);
    expect(calls).toEqual(['GET /v1/users/me 401', 'POST /v1/auth/refresh 200', 'GET /v1/users/me 200']);
    expect(complaints).toEqual([]);
  });

  it('sends the tokens of a login with the bearer transport, and refreshes them', async () => {
    await open();
    // The cookies of an earlier login stay at home: a request with two credentials is refused.
    expect(await execute('auth_login')).toBe(200);
    await logInAsApp();
    expect(await execute('auth_whoami')).toBe(200);
    expect(await block('auth_whoami').locator('.curl').textContent()).toContain('Authorization: Bearer');
    expireAccessToken();
    calls.length = 0;
    expect(await execute('auth_whoami')).toBe(200);
    expect(calls).toEqual([
      'GET /v1/auth/whoami 401',
      'POST /v1/auth/refresh 200',
      'GET /v1/auth/whoami 200',
    ]);
    expect(await execute('auth_refresh')).toBe(200);
    expect(await execute('auth_logout')).toBe(204);
    const [live] = await app.query<{ count: string }>(
      `select count(*) from sessions where user_id = $1 and transport = 'bearer' and ended_at is null`,
      [ALICE.id],
    );
    expect(live).toEqual({ count: '0' });
    expect(complaints).toEqual([]);
  });

  it('accepts a token in its "Authorize" dialog', async () => {
    const client = app.client();
    const { body } = await client.login(ALICE.email, 'drawbridge demo password', { transport: 'bearer' });
    await open();
    await page.click('.btn.authorize');
    await page.fill('#auth-bearer-value', body.accessToken as string);
    await page.locator('.auth-container:has(#auth-bearer-value) .btn.authorize').click();
    await page.locator('.btn-done').first().click();
    expect(await execute('users_me')).toBe(200);
    // The page has no refresh token for it.
    expireAccessToken();
    expect(await execute('users_me')).toBe(401);
    expect(complaints).toEqual([]);
  });

  it('can be used with the keyboard alone', async () => {
    await open();
    await block('auth_login').locator('.opblock-summary-control').focus();
    await page.keyboard.press('Enter');
    await block('auth_login').locator('.execute').waitFor();
    await block('auth_login').locator('.execute').focus();
    await page.keyboard.press('Enter');
    await block('auth_login').locator('.live-responses-table').waitFor();
    expect(calls).toEqual(['POST /v1/auth/login 200']);
  });

  it.each([
    ['a desktop', 1280, 'light'],
    ['a desktop in the dark', 1280, 'dark'],
    ['a phone', 390, 'light'],
    ['a phone in the dark', 390, 'dark'],
  ] as const)('has no violation that axe finds, and fits, on %s', async (_device, width, colorScheme) => {
    await open({ viewport: { width, height: 844 }, colorScheme });
    const overflows = () => page.evaluate('document.documentElement.scrollWidth > innerWidth');
    expect(await overflows()).toBe(false);
    for (const operation of ['auth_login', 'probe_pay']) await unfold(operation);
    await execute('auth_login');
    expect(await overflows()).toBe(false);
    // axe needs many seconds for this page, so it sees all states at once: operations that are closed, open, and executed.
    const { violations } = (await page.evaluate(`${AXE}; axe.run()`)) as {
      violations: { id: string; nodes: { target: string[] }[] }[];
    };
    expect(violations.map(({ id, nodes }) => [id, nodes[0]!.target.join(' ')])).toEqual([]);
    if (process.env['SCREENSHOTS'])
      await page.screenshot({ path: `${process.env['SCREENSHOTS']}/api-${width}-${colorScheme}.png` });
    expect(complaints).toEqual([]);
  });
});
