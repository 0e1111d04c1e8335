import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../../../test/support/app.js';
import { freePort } from '../../../../test/support/outside-person.js';
import { describeInChromium, serveClientPages, startChromium } from './chromium.js';
import { VirtualAuthenticator } from './virtual-authenticator.js';

const MINUTE = 60_000;
const PASSKEYS = '/v1/auth/passkeys';

/**
 * Real: Chromium with its own WebAuthn and a virtual authenticator; the built client; the server on
 * http://localhost with default settings, and its stores. Controlled: the server's clock.
 */
describeInChromium('passkeys in a browser', () => {
  let app: TestApp;
  let browser: Browser;
  let context: BrowserContext;
  let origin: string;
  let page: Page;
  let authenticator: VirtualAuthenticator;

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
    await app.query('delete from passkeys');
    context = await browser.newContext();
    await serveClientPages(context);
    page = await open(origin);
    authenticator = await VirtualAuthenticator.plugInto(page);
  });
  afterEach(() => context.close());

  async function open(at: string, transport = 'cookie'): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`${at}/app/?transport=${transport}`);
    await page.waitForFunction('window.tab');
    return page;
  }

  /** The result: the answer, or the name of the error, with its code if it is one of ours. */
  const run = (script: string, on = page) =>
    on.evaluate(
      `(async () => ${script})().catch(({ name, code }) => typeof code === 'string' ? code : name)`,
    );
  const logIn = (on = page) => on.evaluate(`tab.logIn('${ALICE.email}', '${PASSWORD}')`);
  const addPasskey = (name: string) => run(`tab.passkeys.addPasskey(tab.client, { name: '${name}' })`);
  const signIn = (on = page) =>
    run(
      `tab.passkeys.signInWithPasskey(tab.client, { deviceName: 'Test' }).then(({ user }) => user.email)`,
      on,
    );
  const stepUp = () => run(`tab.passkeys.reauthenticateWithPasskey(tab.client).then(() => 'fresh')`);
  const call = (path: string, method = 'GET') =>
    run(
      `tab.client.fetch('${path}', { method: '${method}' }).then((answer) => answer.ok ? answer.status : answer.json().then(({ code }) => code))`,
    );

  it.each(['cookie', 'bearer'])(
    'are registered, log in without a name, and step up (%s)',
    async (transport) => {
      page = await open(origin, transport);
      authenticator = await VirtualAuthenticator.plugInto(page);
      await logIn();
      const made = await addPasskey('Laptop');
      expect(made).toMatchObject({ name: 'Laptop', transports: ['internal'], backedUp: false });
      expect(await authenticator.credentials()).toEqual([
        expect.objectContaining({ isResidentCredential: true, rpId: 'localhost', userName: ALICE.email }),
      ]);
      await page.evaluate('tab.logOut()');
      expect(await call(PASSKEYS)).toBe('SessionEnded');

      expect(await signIn()).toBe(ALICE.email);
      const session = await run(`(await tab.client.fetch('/v1/sessions/current')).json()`);
      expect(session).toMatchObject({
        transport,
        secondFactorAt: expect.any(String),
        device: { name: 'Test' },
      });

      app.clock.advance(6 * MINUTE);
      const { id } = made as { id: string };
      expect(await call(`${PASSKEYS}/${id}`, 'DELETE')).toBe('auth.reauthentication_required');
      expect(await stepUp()).toBe('fresh');
      expect(await call(`${PASSKEYS}/${id}`, 'DELETE')).toBe(204);
      await page.evaluate('tab.logOut()');
      expect(await signIn()).toBe('auth.invalid_credentials');
    },
  );

  it.each([
    [
      'objects of its own with the prototype of the browser’s',
      `(found) => Object.setPrototypeOf(
         { id: found.id, rawId: found.rawId, type: found.type, response: copyOf(found.response) },
         PublicKeyCredential.prototype)`,
    ],
    [
      'a proxy of the browser’s object',
      `(found) => new Proxy(found, { get: (of, name) => Reflect.get(of, name) })`,
    ],
    ['plain objects', `({ id, rawId, type, response }) => ({ id, rawId, type, response })`],
  ])('work with a password manager that answers with %s', async (_, disguise) => {
    await page.evaluate(`{
      const copyOf = (response) => {
        const names = ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle'];
        const own = names.filter((name) => name in response && !(name === 'authenticatorData' && 'attestationObject' in response));
        return Object.fromEntries(own.map((name) => [name, response[name]]));
      };
      for (const name of ['create', 'get']) {
        const ask = navigator.credentials[name].bind(navigator.credentials);
        navigator.credentials[name] = async (options) => (${disguise})(await ask(options));
      }
    }`);
    await logIn();
    expect(await addPasskey('Vault')).toMatchObject({ name: 'Vault' });
    await page.evaluate('tab.logOut()');
    expect(await signIn()).toBe(ALICE.email);
    expect(await stepUp()).toBe('fresh');
  });

  it('are not registered twice on one authenticator', async () => {
    await logIn();
    await addPasskey('Laptop');
    expect(await addPasskey('Again')).toBe('InvalidStateError');
  });

  it('require user verification: an authenticator that cannot verify the user gets an error', async () => {
    await logIn();
    await addPasskey('Laptop');
    await page.evaluate('tab.logOut()');
    await authenticator.set({ isUserVerified: false });
    expect(await signIn()).toBe('NotAllowedError');
  });

  it('are not offered to a page of another host name, even if the same server serves it', async () => {
    await logIn();
    await addPasskey('Laptop');
    const elsewhere = await open(origin.replace('localhost', 'other.localhost'));
    await (await VirtualAuthenticator.plugInto(elsewhere)).put((await authenticator.credentials())[0]!);
    expect(await signIn(elsewhere)).toBe('SecurityError');
  });

  it('that were copied are detected as soon as both copies have been used', async () => {
    await logIn();
    await addPasskey('Key');
    const [copied] = await authenticator.credentials();
    await page.evaluate('tab.logOut()');
    for (let times = 0; times < 2; times += 1) {
      expect(await signIn()).toBe(ALICE.email);
      await page.evaluate('tab.logOut()');
    }
    await authenticator.unplug();
    const copy = await VirtualAuthenticator.plugInto(page);
    await copy.put(copied!);
    expect(await signIn()).toBe('auth.invalid_credentials');
    const events = await app.query(`select from audit_events where type = 'authn_passkey_cloned'`);
    expect(events).toHaveLength(1);
  });
});
