import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { VirtualAuthenticator } from '../../packages/client/test/browser/virtual-authenticator.js';
import { resetStores } from '../../test/support/app.js';
import {
  complaintsIn,
  fillSignIn,
  objectionsTo,
  signIn,
  startConsole,
  type ConsoleServer,
} from '../../test/support/console.js';
import { freePort, startOutsideProvider } from '../../test/support/outside-person.js';
import { enrol } from '../../test/support/second-factor.js';
import { createUser, loggedIn } from '../../test/support/test-users.js';
import { eventually } from '../../test/support/waiting.js';

/**
 * Real: Chromium, with a virtual authenticator; the console; the server on http://localhost, and its stores; the
 * outside provider. Controlled: the clock of the server.
 */
describeInChromium('the sign-in page of the console', () => {
  let app: ConsoleServer;
  let outside: Awaited<ReturnType<typeof startOutsideProvider>>;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let email: string;
  let complaints: string[];

  beforeAll(async () => {
    await resetStores();
    const [port, providerPort] = [await freePort(), await freePort()];
    const origin = `http://localhost:${port}`;
    const clientSecret = 'a-secret-of-the-app-for-the-provider';
    outside = await startOutsideProvider(providerPort, [
      {
        client_id: 'the-app',
        client_secret: clientSecret,
        token_endpoint_auth_method: 'client_secret_post',
        redirect_uris: [`${origin}/v1/auth/social/acme/callback`],
      },
    ]);
    const acme = { issuer: outside.issuer, clientId: 'the-app', clientSecret };
    app = await startConsole({ PORT: String(port), SOCIAL_PROVIDERS: JSON.stringify({ acme }) });
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app.close();
    await outside.stop();
  });
  beforeEach(async () => {
    ({ email } = await createUser(app));
    context = await browser.newContext();
    complaints = await complaintsIn(context);
    page = await context.newPage();
  });
  afterEach(async () => {
    await context.close();
    expect(complaints).toEqual([]);
  });

  const open = (path = '/console') => page.goto(app.origin + path);
  const says = (text: string) => page.waitForSelector(`[role=alert]:has-text("${text}")`);
  const heading = (text: string) => page.waitForSelector(`h1:has-text("${text}")`);
  const click = (button: string) => page.click(`button:has-text("${button}")`);

  it('refuses a wrong password in words, lets the right one in, and stays on the page that was asked for', async () => {
    await open('/console/security');
    await heading('Sign in');
    expect(await objectionsTo(page, 'sign-in')).toEqual([]);
    await fillSignIn(page, email, 'a wrong password');
    await says('The e-mail address or the password is wrong.');
    expect(await objectionsTo(page, 'sign-in-refused')).toEqual([]);
    await fillSignIn(page, email);
    await heading('Security');
    expect(new URL(page.url()).pathname).toBe('/console/security');
  });

  it('shows the password on request', async () => {
    await open();
    await page.fill('[name=password]', 'visible');
    await click('Show');
    expect(await page.getAttribute('[name=password]', 'type')).toBe('text');
    await click('Hide');
    expect(await page.getAttribute('[name=password]', 'type')).toBe('password');
  });

  it('asks for the second factor: a code of the app, or a recovery code', async () => {
    const { phone, recoveryCodes } = await enrol(app, await loggedIn(app, { email }));
    await open();
    await fillSignIn(page, email);
    await heading('Enter your second factor');
    expect(await page.evaluate('document.activeElement.name')).toBe('code');
    expect(await objectionsTo(page, 'second-factor')).toEqual([]);
    await page.fill('[name=code]', '000000');
    await click('Sign in');
    await says('That was not right.');
    await page.fill('[name=code]', phone.nextCode());
    await click('Sign in');
    await heading('Your devices');
    await click('Sign out');
    await fillSignIn(page, email);
    await page.fill('[name=code]', recoveryCodes[0]!);
    await click('Sign in');
    await heading('Your devices');
  });

  it('returns to the first step when the second has taken too long', async () => {
    await enrol(app, await loggedIn(app, { email }));
    await open();
    await fillSignIn(page, email);
    await heading('Enter your second factor');
    await app.query(`update login_challenges set expires_at = now() - interval '1 hour'`);
    await page.fill('[name=code]', '000000');
    await click('Sign in');
    await says('This took too long');
    await click('Back to the sign-in');
    await heading('Sign in');
  });

  describe('with a passkey', () => {
    let authenticator: VirtualAuthenticator;

    /** A page of a signed-out user who has a passkey on this device. */
    beforeEach(async () => {
      authenticator = await VirtualAuthenticator.plugInto(page);
      await signIn(page, app.origin, email, { path: '/console/security' });
      await click('Add a passkey');
      await page.click('dialog [type=submit]');
      await page.waitForSelector('text=The passkey is added.');
      await page.click('header a');
      await heading('Your devices');
    });

    it('signs in with a click on a button, without a name', async () => {
      await page.evaluate(WITHOUT_AUTOFILL);
      await click('Sign out');
      await heading('Sign in');
      await click('Sign in with a passkey');
      await page.waitForSelector(`header .email:has-text("${email}")`);
    });

    it('is offered in the autofill of the form', async () => {
      await click('Sign out');
      await page.waitForSelector(`header .email:has-text("${email}")`);
    });

    it('completes a login that needs a second factor', async () => {
      await enrol(app, await loggedIn(app, { email }));
      await page.evaluate(WITHOUT_AUTOFILL);
      await heading('Sign in');
      await fillSignIn(page, email);
      await heading('Enter your second factor');
      await click('Sign in with a passkey');
      await page.waitForSelector(`header .email:has-text("${email}")`);
    });

    it('that was removed from the account is refused in words', async () => {
      await page.evaluate(WITHOUT_AUTOFILL);
      await click('Sign out');
      await heading('Sign in');
      await app.query('delete from passkeys');
      await click('Sign in with a passkey');
      await says('This passkey does not belong to an account that may sign in.');
      expect(await authenticator.credentials()).toHaveLength(1);
    });
  });

  describe('with an account of another service', () => {
    /** Logs in at the provider, and allows it. */
    const atProvider = async (account: string) => {
      await page.waitForURL(`${outside.issuer}/**`);
      await page.fill('[name=login]', account);
      await page.fill('[name=password]', 'x');
      await page.click('[type=submit]');
      await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
      await page.click('[type=submit]');
    };
    const newAddress = () => `${randomUUID()}@newcomers.example`;

    it('signs a new user in, and returns to the page that was asked for, without the result in its address', async () => {
      const email = newAddress();
      await open('/console/security');
      await click('Sign in with Acme');
      await atProvider(`verified:${email}`);
      await heading('Security');
      await page.waitForSelector(`header .email:has-text("${email}")`);
      expect(page.url()).toBe(`${app.origin}/console/security`);
    });

    it('asks for the second factor of the user', async () => {
      const account = newAddress();
      await open();
      await click('Sign in with Acme');
      await atProvider(`verified:${account}`);
      await heading('Your devices');
      const { phone } = await enrol(app, await loggedIn(app, { email: account }));
      await page.context().clearCookies();
      await page.reload();
      await click('Sign in with Acme');
      await atProvider(`verified:${account}`);
      await heading('Enter your second factor');
      expect(page.url()).toBe(`${app.origin}/console`);
      await page.fill('[name=code]', phone.nextCode());
      await click('Sign in');
      await heading('Your devices');
    });

    it.each<[string, (account: { taken: string; free: string }) => string, string]>([
      ['whose address another account has', ({ taken }) => `verified:${taken}`, 'exists already'],
      ['without a verified address', ({ free }) => `unverified:${free}`, 'has not verified'],
    ])('refuses one %s, and says why', async (_which, account, reason) => {
      await open();
      await click('Sign in with Acme');
      await atProvider(account({ taken: email, free: newAddress() }));
      await says(reason);
      await page.reload();
      await heading('Sign in');
      expect(await page.isVisible('[role=alert]')).toBe(false);
    });

    it('says so if the user has cancelled at the other service', async () => {
      await open();
      await click('Sign in with Acme');
      await page.waitForURL(`${outside.issuer}/**`);
      await page.click('a:has-text("Cancel")');
      await says('You have cancelled at the other service.');
    });
  });

  it('says how long to wait after too many attempts', async () => {
    const strict = await startConsole({ RATE_LIMITS: 'on' });
    try {
      const attempt = { method: 'POST', headers: { 'content-type': 'application/json' } };
      const body = JSON.stringify({ email, password: 'a wrong password', transport: 'bearer' });
      await eventually(async () =>
        expect(await fetch(`${strict.origin}/v1/auth/login`, { ...attempt, body })).toMatchObject({
          status: 429,
        }),
      );
      await page.goto(`${strict.origin}/console`);
      await fillSignIn(page, email);
      await page.waitForSelector(
        '[role=alert]:text-matches("Too many attempts. Try again in [0-9]+ (seconds|minutes)")',
      );
    } finally {
      await strict.close();
    }
  });

  it('tells that the server cannot be reached, and works again when it can', async () => {
    await open();
    await heading('Sign in');
    await context.setOffline(true);
    await fillSignIn(page, email);
    await says('The server cannot be reached.');
    complaints.splice(0); // Chromium logs the failed request
    await context.setOffline(false);
    await click('Sign in');
    await heading('Your devices');
  });

  it('in one tab signs the other tabs in, and a sign-out in one tab shows in all', async () => {
    await open();
    const other = await context.newPage();
    await other.goto(`${app.origin}/console/security`);
    await other.waitForSelector('h1:has-text("Sign in")');
    await fillSignIn(page, email);
    await other.waitForSelector('h1:has-text("Security")');
    await click('Sign out');
    await other.waitForSelector('text=You signed out.');
  });

  it('tells a tab that another user has signed in, and lets it continue as that user', async () => {
    const asleep = await context.newPage();
    await asleep.addInitScript('BroadcastChannel.prototype.addEventListener = () => {}');
    await asleep.goto(`${app.origin}/console`);
    await signIn(page, app.origin, email);
    const { email: second } = await createUser(app);
    await fillSignIn(asleep, second);
    await says('Another user has signed in from this browser.');
    await click('Continue as that user');
    await page.waitForSelector(`header .email:has-text("${second}")`);
  });
});

/** The virtual authenticator answers an offer at once, as if the user had chosen the passkey. */
const WITHOUT_AUTOFILL = 'PublicKeyCredential.isConditionalMediationAvailable = async () => false';
