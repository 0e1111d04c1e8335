import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { APPS_ENV, CALLBACK } from '../../test/support/oauth.js';
import { freePort } from '../../test/support/outside-person.js';
import { AuthenticatorApp, enrol } from '../../test/support/second-factor.js';
import { createUser, loggedIn } from '../../test/support/test-users.js';

/** RFC 7636, appendix B. */
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';

/** Real: Chromium, the page, the server on http://localhost, and its stores. Simulated: the site of the app. */
describeInChromium('the page of login and consent', () => {
  let app: TestApp;
  let origin: string;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let email: string;
  const complaints: string[] = [];

  beforeAll(async () => {
    await resetStores();
    const port = await freePort();
    app = await startApp({ env: { ...APPS_ENV, PORT: String(port) } });
    await app.app.listen(port, '127.0.0.1');
    origin = `http://localhost:${port}`;
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app.close();
  });
  beforeEach(async () => {
    ({ email } = await createUser(app));
    context = await browser.newContext({ viewport: { width: 360, height: 740 } });
    page = await context.newPage();
    complaints.length = 0;
    // A refused login and a missing session are answers with an error status, which Chromium also reports.
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('Failed to load resource'))
        complaints.push(message.text());
    });
  });
  afterEach(() => context.close());

  const open = (scope: string, more: Record<string, string> = {}) => {
    const query = new URLSearchParams({
      client_id: 'notes',
      redirect_uri: CALLBACK,
      response_type: 'code',
      scope,
      code_challenge: CHALLENGE,
      code_challenge_method: 'S256',
      ...more,
    });
    return page.goto(`${origin}/oauth/authorize?${query.toString()}`);
  };
  const logIn = async (password = PASSWORD) => {
    await page.fill('#login [name=email]', email);
    await page.fill('#login [name=password]', password);
    await page.click('#login button');
  };
  const message = (text: string) => page.waitForSelector(`#message:has-text("${text}")`);
  /** Clicks, and follows the browser to the app. @returns the parameters that the app gets */
  const returnBy = async (button: string) => {
    const going = page.waitForRequest('https://notes.example/**');
    await page.click(button);
    return Object.fromEntries(new URL((await going).url()).searchParams);
  };

  it('lets a person log in, read what the app wants, and allow it, at the width of a phone', async () => {
    await open('openid probe:read');
    await message('Log in to continue.');
    await logIn('a wrong password');
    await message('That was not right.');
    await logIn();
    await page.waitForSelector('#consent:visible');
    expect(await page.textContent('#app')).toBe('Notes');
    expect(await page.textContent('#access')).toContain('Read the flags of the tests');
    expect(await page.textContent('#lasting')).toBe('The access ends when you log out.');
    const overflow = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
    expect(overflow).toBe(false);
    if (process.env['SCREENSHOTS'])
      await page.screenshot({ path: `${process.env['SCREENSHOTS']}/consent.png` });
    expect(await returnBy('#allow')).toEqual({ code: expect.any(String), iss: `${origin}/oauth` });
    expect(complaints).toEqual([]);
  });

  it('does not ask a person for a login who has a session, and tells the app that they have refused', async () => {
    await open('openid');
    await logIn();
    await page.waitForSelector('#consent:visible');
    await open('openid');
    await page.waitForSelector('#consent:visible');
    expect(await returnBy('#deny')).toMatchObject({ error: 'access_denied' });
    expect(complaints).toEqual([]);
  });

  it('asks for the second factor', async () => {
    const { phone } = await enrol(app, await loggedIn(app, { email }));
    await open('openid');
    await logIn();
    await page.waitForSelector('#code:visible');
    await page.fill('#code [name=code]', phone.nextCode());
    await page.click('#code button');
    await page.waitForSelector('#consent:visible');
    expect(complaints).toEqual([]);
    expect(phone).toBeInstanceOf(AuthenticatorApp);
  });

  it('asks for the password again before it gives access that outlives the session', async () => {
    await open('openid offline_access', { prompt: 'consent' });
    await logIn();
    await page.waitForSelector('#consent:visible');
    expect(await page.textContent('#lasting')).toContain('also after you log out');
    await app.query(
      `update sessions set authenticated_at = authenticated_at - interval '6 min'
       where user_id = (select id from users where email = $1)`,
      [email],
    );
    await page.reload();
    await page.waitForSelector('#consent:visible');
    await page.click('#allow');
    await message('Enter your password to confirm.');
    await page.fill('#confirm [name=password]', PASSWORD);
    expect(await returnBy('#confirm button')).toMatchObject({ code: expect.any(String) });
    expect(complaints).toEqual([]);
  });

  it('says so if the authorization is over, and shows no form', async () => {
    await open('openid');
    await logIn();
    await page.waitForSelector('#consent:visible');
    await context.clearCookies({ name: /oauth/ });
    await page.click('#allow');
    await message('This request is over.');
    expect(await page.isVisible('form')).toBe(false);
  });
});
