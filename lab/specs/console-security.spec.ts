import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { VirtualAuthenticator } from '../../packages/client/test/browser/virtual-authenticator.js';
import { PASSWORD, resetStores } from '../../test/support/app.js';
import {
  complaintsIn,
  fillSignIn,
  objectionsTo,
  signIn,
  startConsole,
  type ConsoleServer,
} from '../../test/support/console.js';
import { Mailbox } from '../../test/support/mailbox.js';
import { freePort, startOutsideProvider } from '../../test/support/outside-person.js';
import { AuthenticatorApp } from '../../test/support/second-factor.js';
import { createUser } from '../../test/support/test-users.js';

const GOOD = 'a pass phrase that is long and unusual';
/**
 * Real: Chromium with a virtual authenticator; the console; the server on http://localhost with its stores; the outside
 * provider. Controlled: the clock of the server. The test reads the mails.
 */
describeInChromium('the security page of the console', () => {
  let app: ConsoleServer;
  let mailbox: Mailbox;
  let outside: Awaited<ReturnType<typeof startOutsideProvider>>;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let email: string;
  let complaints: string[];

  beforeAll(async () => {
    await resetStores();
    const [port, providerPort] = [await freePort(), await freePort()];
    const clientSecret = 'a-secret-of-the-app-for-the-provider';
    outside = await startOutsideProvider(providerPort, [
      {
        client_id: 'the-app',
        client_secret: clientSecret,
        token_endpoint_auth_method: 'client_secret_post',
        redirect_uris: [`http://localhost:${port}/v1/auth/social/acme/callback`],
      },
    ]);
    const acme = { issuer: outside.issuer, clientId: 'the-app', clientSecret };
    app = await startConsole({
      PORT: String(port),
      SOCIAL_PROVIDERS: JSON.stringify({ acme }),
      ADMIN_MFA: 'required',
      SESSION_LIMIT: '1000',
    });
    mailbox = new Mailbox(app);
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

  const open = () => signIn(page, app.origin, email, { path: '/console/security' });
  const sees = (text: string) => page.waitForSelector(`main :text("${text}")`);
  const click = (button: string) => page.click(`main button:text-is("${button}")`);
  /** In the dialog that lies on top. */
  const confirm = () => page.locator('dialog').last().locator('[type=submit]').click();
  /** The session has proved nothing for more than five minutes. */
  const growStale = () =>
    app.query(
      `update sessions set authenticated_at = authenticated_at - interval '6 min',
         second_factor_at = second_factor_at - interval '6 min'
       where user_id = (select id from users where email = $1)`,
      [email],
    );
  const atProvider = async (account: string) => {
    await page.waitForURL(`${outside.issuer}/**`);
    await page.fill('[name=login]', account);
    await page.fill('[name=password]', 'x');
    await page.click('[type=submit]');
    await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
    await page.click('[type=submit]');
  };
  const addApp = async (): Promise<AuthenticatorApp> => {
    await click('Add an authenticator app');
    await page.waitForSelector('svg.qr path');
    const secret = (await page.textContent('.secret'))!.replace(/ /g, '');
    const phone = new AuthenticatorApp(secret, app.clock);
    await page.fill('[name=code]', phone.code());
    await click('Confirm');
    await sees('Your recovery codes');
    return phone;
  };

  it('saves the name of the user', async () => {
    await open();
    await sees('Link Acme');
    expect(await objectionsTo(page, 'security')).toEqual([]);
    await page.fill('[name=displayName]', 'Alicia');
    await click('Save');
    await sees('Saved.');
    await page.reload();
    await sees('Profile');
    expect(await page.inputValue('[name=displayName]')).toBe('Alicia');
  });

  it('requests a change of the address after a proof where the user is, and the mail completes it', async () => {
    await open();
    await sees('Profile');
    await growStale();
    const newEmail = `${randomUUID()}@newcomers.example`;
    await page.fill('[name=email]', newEmail);
    await click('Change the address');
    await page.waitForSelector('dialog [name=password]');
    expect(await objectionsTo(page, 'step-up')).toEqual([]);
    await page.fill('dialog [name=password]', 'a wrong password');
    await confirm();
    await page.waitForSelector('dialog :text("That was not right.")');
    await page.fill('dialog [name=password]', PASSWORD);
    await confirm();
    await sees(`If ${newEmail} can be used`);
    await page.goto(`${app.origin}/verify-email#token=${await mailbox.tokenFor(newEmail)}`);
    await click('Confirm the address');
    await page.waitForSelector(`header .email:has-text("${newEmail}")`);
  });

  it('does nothing if the user cancels the proof', async () => {
    await open();
    await sees('Profile');
    await growStale();
    await page.fill('[name=email]', 'new@newcomers.example');
    await click('Change the address');
    await page.click('dialog button:text("Cancel")');
    await sees('This was not done, because your identity was not confirmed.');
  });

  it('changes the password, and other devices learn why they are signed out', async () => {
    const other = await (await browser.newContext()).newPage();
    await signIn(other, app.origin, email);
    await open();
    await page.fill('[name=currentPassword]', PASSWORD);
    await page.fill('[name=newPassword]', 'too short');
    await click('Change the password');
    await page.waitForSelector('.error:has-text("New password must have at least 15 characters")');
    await page.fill('[name=newPassword]', GOOD);
    await click('Change the password');
    await sees('The password is changed.');
    expect(await page.inputValue('[name=newPassword]')).toBe('');
    await other.waitForSelector('text=Your password was changed on another device.');
    await other.context().close();
  });

  it('adds, renames and removes a passkey, and the passkey is a proof', async () => {
    await VirtualAuthenticator.plugInto(page);
    await open();
    await sees('You have no passkey yet.');
    await growStale();
    await click('Add a passkey');
    await page.fill('dialog [name=name]', 'Laptop');
    await confirm();
    await page.fill('dialog [name=password]', PASSWORD);
    await confirm();
    await sees('The passkey is added.');
    await page.click('button[aria-label="Rename Laptop"]');
    await page.fill('dialog [name=name]', 'Old laptop');
    await confirm();
    await page.waitForSelector('h3:has-text("Old laptop")');
    expect(await objectionsTo(page, 'passkeys')).toEqual([]);
    await click('Add a passkey');
    await confirm();
    await page.waitForSelector('dialog :text("This device has a passkey of your account already.")');
    await page.keyboard.press('Escape');
    await growStale();
    await page.click('button[aria-label="Remove the passkey Old laptop"]');
    await confirm();
    await page.click('dialog button:text("Use a passkey")');
    await sees('You have no passkey yet.');
  });

  describe('adds an authenticator app', () => {
    beforeEach(async () => {
      await open();
      await sees('Link Acme');
    });

    it('by a QR code or its secret, and shows the recovery codes once', async () => {
      await click('Add an authenticator app');
      await page.waitForSelector('svg.qr path');
      expect(await objectionsTo(page, 'authenticator-app')).toEqual([]);
      await click('Cancel');
      await addApp();
      expect(await objectionsTo(page, 'recovery-codes')).toEqual([]);
      const codes = await page.$$eval('.codes li', (items) => items.map((item) => item.textContent));
      expect(codes).toHaveLength(10);
      const downloading = page.waitForEvent('download');
      await click('Download');
      const file = await readFile(await (await downloading).path(), 'utf8');
      expect(file.trim().split('\n').slice(2)).toEqual(codes);
      await click('I have stored them');
      await sees('10 recovery codes are left.');
      expect(await page.content()).not.toContain(codes[0]);
      expect(await page.evaluate('localStorage.length + sessionStorage.length')).toBe(0);
    });

    it('and then asks for its code before a change of the factors', async () => {
      const phone = await addApp();
      const [before] = await page.$$eval('.codes li', (items) => items.map((item) => item.textContent));
      await click('I have stored them');
      await growStale();
      await click('Make new recovery codes');
      await confirm();
      await page.fill('dialog [name=code]', phone.nextCode());
      await confirm();
      await sees('Your recovery codes');
      expect(await page.textContent('.codes')).not.toContain(before);
      await click('I have stored them');
      await click('Remove the app');
      await confirm();
      await sees('Add an authenticator app');
    });

    it('only with the right first code', async () => {
      await click('Add an authenticator app');
      await page.fill('[name=code]', '000000');
      await click('Confirm');
      await sees('That was not right.');
    });
  });

  it('links and unlinks an account of another service', async () => {
    await open();
    await click('Link Acme');
    await atProvider(`verified:${randomUUID()}@newcomers.example`);
    await sees('The account is linked.');
    expect(page.url()).toBe(`${app.origin}/console/security`);
    await page.click('button[aria-label="Unlink Acme"]');
    await confirm();
    await sees('None is linked.');
  });

  it('of a user without a password: a new sign-in is the proof, and the last way to sign in stays', async () => {
    const account = `${randomUUID()}@newcomers.example`;
    await page.goto(`${app.origin}/console/security`);
    await page.click('text=Sign in with Acme');
    await atProvider(`verified:${account}`);
    email = account;
    await sees('You sign in without a password.');
    await growStale();
    await page.click('button[aria-label="Unlink Acme"]');
    await confirm();
    await page.waitForSelector('dialog :text("you have no password")');
    expect(await page.isVisible('dialog [name=password]')).toBe(false);
    await page.click('dialog button:text("Sign in with Acme")');
    await page.waitForURL(`${app.origin}/console/security`);
    await page.click('button[aria-label="Unlink Acme"]');
    await confirm();
    await page.waitForSelector('dialog :text("You could not log in any more.")');
    await page.keyboard.press('Escape');
    await click('Send the link');
    await sees(`A mail to ${account} is on its way.`);
    expect(await mailbox.tokenFor(account)).toBeTruthy();
  });

  it('deletes the account after its address is typed, and says so', async () => {
    await open();
    await click('Delete the account');
    await page.fill('dialog [name=typed]', 'something else');
    await confirm();
    expect(await page.isVisible('dialog')).toBe(true);
    await page.fill('dialog [name=typed]', email);
    expect(await objectionsTo(page, 'delete-account')).toEqual([]);
    await confirm();
    await page.waitForSelector('h1:has-text("Sign in")');
    await sees('This account was deleted.');
    await fillSignIn(page, email);
    await sees('The e-mail address or the password is wrong.');
  });

  it('is replaced by the enrolment for an admin whose second factor is missing', async () => {
    ({ email } = await createUser(app, ['admin']));
    await page.goto(`${app.origin}/console`);
    await fillSignIn(page, email);
    await page.waitForSelector('h1:has-text("A second factor is needed")');
    expect(await objectionsTo(page, 'second-factor-needed')).toEqual([]);
    await addApp();
    await click('I have stored them');
    await page.waitForSelector('h1:has-text("Your devices")');
  });
});
