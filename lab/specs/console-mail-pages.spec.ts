import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { resetStores } from '../../test/support/app.js';
import {
  complaintsIn,
  fillSignIn,
  objectionsTo,
  signIn,
  startConsole,
  type ConsoleServer,
} from '../../test/support/console.js';
import { Mailbox } from '../../test/support/mailbox.js';
import { createUser, loggedIn } from '../../test/support/test-users.js';

const GOOD = 'a pass phrase that is long and unusual';
/** Real: Chromium, the console, the server on http://localhost and its stores. The test reads the mails. */
describeInChromium('a visitor of the console', () => {
  let app: ConsoleServer;
  let mailbox: Mailbox;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    await resetStores();
    app = await startConsole({ EMAIL_VERIFICATION: 'required' });
    mailbox = new Mailbox(app);
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    complaints = await complaintsIn(context);
    page = await context.newPage();
  });
  afterEach(async () => {
    await context.close();
    expect(complaints).toEqual([]);
  });

  const heading = (text: string, on = page) => on.waitForSelector(`h1:has-text("${text}")`);
  const click = (button: string) => page.click(`button:has-text("${button}")`);
  const newAddress = () => `${randomUUID()}@newcomers.example`;
  const follow = async (path: string, token: string) => {
    await page.goto(`${app.origin}${path}#token=${token}`);
    await page.waitForSelector('h1');
    // The token is a secret: it must not stay in the address bar, the history or a screenshot.
    expect(page.url()).toBe(app.origin + path);
  };
  const register = async (email: string, password = GOOD) => {
    await page.goto(`${app.origin}/console/register`);
    await page.fill('[name=email]', email);
    await page.fill('[name=password]', password);
    await click('Create the account');
  };
  const requestReset = async (email: string) => {
    await page.goto(`${app.origin}/console`);
    await page.click('text=Forgot your password?');
    await heading('Forgot your password?');
    await page.fill('[name=email]', email);
    await click('Send the link');
    await heading('Look into your mailbox');
  };

  it('creates an account, confirms the address with a click on the page of the mail, and signs in', async () => {
    const email = newAddress();
    await register(email);
    await heading('Almost done');
    expect(await objectionsTo(page, 'registered')).toEqual([]);
    await page.goto(`${app.origin}/console`);
    await fillSignIn(page, email, GOOD);
    await page.waitForSelector('text=A new account can sign in after its address is confirmed.');
    const token = await mailbox.tokenFor(email);
    await follow('/verify-email', token);
    expect(await objectionsTo(page, 'verify-email')).toEqual([]);
    await click('Confirm the address');
    await page.waitForSelector('text=The address is confirmed.');
    await page.click('text=To the sign-in');
    await fillSignIn(page, email, GOOD);
    await heading('Your devices');
  });

  it('who only opens the page of a mail, as programs that scan mails do, uses no token up', async () => {
    const email = newAddress();
    await register(email);
    await heading('Almost done');
    const token = await mailbox.tokenFor(email);
    await follow('/verify-email', token);
    await page.waitForLoadState('networkidle');
    const [user] = await app.query('select email_verified_at from users where email = $1', [email]);
    expect(user).toEqual({ email_verified_at: null });
  });

  it('reads beside the field why the server refuses a password, and gets the focus there', async () => {
    await page.goto(`${app.origin}/console/register`);
    expect(await objectionsTo(page, 'register')).toEqual([]);
    await register(newAddress(), 'too short');
    const error = await page.waitForSelector('.error');
    expect(await error.textContent()).toBe('Password must have at least 15 characters');
    expect(await page.evaluate('document.activeElement.name')).toBe('password');
    expect(await objectionsTo(page, 'register-refused')).toEqual([]);
  });

  it('gets the same answer for an address that has an account already', async () => {
    const { email } = await createUser(app);
    await register(email);
    await heading('Almost done');
    expect(await page.textContent('main')).toContain(
      'If the address has an account already, the mail says so',
    );
  });

  it('chooses a new password with the link of a mail, which ends all sessions and works once', async () => {
    const { email } = await createUser(app);
    const other = await (await browser.newContext()).newPage();
    await signIn(other, app.origin, email);
    await requestReset(email);
    expect(await objectionsTo(page, 'forgot-password')).toEqual([]);
    const token = await mailbox.tokenFor(email);
    await follow('/reset-password', token);
    expect(await objectionsTo(page, 'reset-password')).toEqual([]);
    await page.fill('[name=newPassword]', 'too short');
    await click('Set the password');
    await page.waitForSelector('.error:has-text("New password must have at least 15 characters")');
    await page.fill('[name=newPassword]', GOOD);
    await click('Set the password');
    await page.waitForSelector('text=Your password is set.');
    await other.waitForSelector('text=Your password was reset.');
    await other.context().close();
    await page.click('text=To the sign-in');
    await fillSignIn(page, email, GOOD);
    await heading('Your devices');
    await follow('/reset-password', token);
    await page.fill('[name=newPassword]', `${GOOD} again`);
    await click('Set the password');
    await page.waitForSelector('[role=alert]:has-text("This link does not work")');
    await page.click('text=Request a new link');
    await heading('Forgot your password?');
  });

  it('resets the password also in a browser whose session has ended', async () => {
    const { email } = await createUser(app);
    await signIn(page, app.origin, email);
    await (await loggedIn(app, { email })).delete('/v1/sessions');
    await page.waitForSelector('h1:has-text("Sign in")');
    await requestReset(email);
    await follow('/reset-password', await mailbox.tokenFor(email));
    await page.fill('[name=newPassword]', GOOD);
    await click('Set the password');
    await page.waitForSelector('text=Your password is set.');
  });

  it.each(['verify-email', 'reset-password'])(
    'learns at /%s that the link is incomplete, or does not work, and how to get a new one',
    async (name) => {
      await page.goto(`${app.origin}/${name}`);
      await page.waitForSelector('[role=alert]:has-text("The link is incomplete.")');
      // The same tab: the document is not loaded again.
      await page.evaluate(`location.hash = '#token=${'x'.repeat(60)}'`);
      if (name === 'reset-password') await page.fill('[name=newPassword]', GOOD);
      await page.click('main form [type=submit]');
      await page.waitForSelector('[role=alert]:has-text("This link does not work")');
      expect(page.url()).toBe(`${app.origin}/${name}`);
      expect(await objectionsTo(page, `${name}-refused`)).toEqual([]);
    },
  );
});
