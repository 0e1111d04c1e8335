import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { ALICE, holdBackgroundWork, PASSWORD, resetStores } from '../../../../test/support/app.js';
import { createUser } from '../../../../test/support/test-users.js';
import { eventually } from '../../../../test/support/waiting.js';
import { describeInChromium, serveClientPages, startChromium } from './chromium.js';
import { EXPIRY, FLAGS, REFRESH, SESSION, startServer, type TestServer } from '../support.js';
import { COOKIES } from '../../../../test/support/cookies.js';

const WHOAMI = '/v1/auth/whoami';
const EXPIRIES = 5;
const WITHOUT_LOCKS = `
  Object.defineProperty(navigator, 'locks', { value: undefined });
  Object.defineProperty(window, 'BroadcastChannel', { value: undefined });`;
/** All storage that an app may use in a page: local and session storage, databases and caches. */
const KEEP_DRAFTS = `new Promise((kept, failed) => {
  localStorage.setItem('draft', 'draft');
  const opened = indexedDB.open('drafts', 1);
  opened.onupgradeneeded = () => opened.result.createObjectStore('texts').put('draft', 'draft');
  opened.onsuccess = () => (opened.result.close(), kept());
  opened.onerror = failed;
}).then(() => caches.open('drafts')).then((cache) => cache.put('/draft', new Response('draft')))`;
const READ_DRAFTS = `Promise.all([
  localStorage.getItem('draft'),
  new Promise((found) => {
    const opened = indexedDB.open('drafts', 1);
    opened.onupgradeneeded = () => opened.result.createObjectStore('texts');
    opened.onsuccess = () => {
      const asked = opened.result.transaction('texts').objectStore('texts').get('draft');
      asked.onsuccess = () => (opened.result.close(), found(asked.result));
    };
  }),
  caches.match('/draft').then((found) => found?.text()),
])`;

/**
 * Real: Chromium with its cookie jar, Web Locks and channels; the built client; the server and its stores. Controlled:
 * the server's clock. The page itself comes from a file, on the server's origin.
 */
describeInChromium('tabs of a browser', () => {
  let server: TestServer;
  let browser: Browser;
  let context: BrowserContext;
  let origin: string;

  beforeAll(async () => {
    await resetStores();
    server = await startServer();
    holdBackgroundWork(server);
    origin = server.url.replace('127.0.0.1', 'localhost');
    browser = await startChromium(
      '--host-resolver-rules=MAP mybox.lan 127.0.0.1',
      // Chromium treats a page that a test serves as one from the internet, which may not call this machine.
      '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests',
    );
  });
  afterAll(async () => {
    await browser?.close();
    await server.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    await serveClientPages(context);
  });
  afterEach(() => context.close());

  async function open(transport = 'cookie', at = origin): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`${at}/app/?transport=${transport}`);
    await page.waitForFunction('window.tab');
    return page;
  }

  const openAll = (count: number, transport?: string) =>
    Promise.all(Array.from({ length: count }, () => open(transport)));
  const logIn = (page: Page, email = ALICE.email) => page.evaluate(`tab.logIn('${email}', '${PASSWORD}')`);
  const call = (page: Page, path = SESSION) => page.evaluate(`tab.call('${path}')`);
  const told = (page: Page) => page.evaluate<string[]>('tab.told');
  const answers = (page: Page) => page.evaluate<unknown[]>('tab.answers');
  const keepCalling = (pages: Page[]) =>
    Promise.all(pages.map((page) => page.evaluate('void tab.keepCalling()')));
  const stop = (pages: Page[]) => Promise.all(pages.map((page) => page.evaluate('tab.stop()')));

  /** Waits until every pending request has an answer, and then for one more full round. */
  async function nextRound(pages: Page[]): Promise<void> {
    const round = async (page: Page) => {
      const { length } = await answers(page);
      await page.waitForFunction(`tab.answers.length > ${length + 3}`);
    };
    await Promise.all(pages.map(round));
  }

  async function expireWhileTheyCall(pages: Page[]): Promise<void> {
    await keepCalling(pages);
    server.arrived(REFRESH);
    for (let expiry = 0; expiry < EXPIRIES; expiry++) {
      server.clock.advance(EXPIRY);
      await nextRound(pages);
    }
    await stop(pages);
    for (const page of pages) {
      expect(new Set(await answers(page))).toEqual(new Set([200]));
      expect(await told(page)).toEqual([]);
    }
  }

  it('refresh about once for all of them, and no tab is logged out', async () => {
    const pages = await openAll(4);
    await logIn(pages[0]!);
    await expireWhileTheyCall(pages);
    const refreshes = server.arrived(REFRESH);
    expect(refreshes).toBeGreaterThanOrEqual(EXPIRIES);
    expect(refreshes).toBeLessThanOrEqual(1.5 * EXPIRIES);
  });

  it('that have neither locks nor a channel stay logged in, too (R2)', async () => {
    await context.addInitScript(WITHOUT_LOCKS);
    const pages = await openAll(4);
    await logIn(pages[0]!);
    await expireWhileTheyCall(pages);
  });

  it('that share bearer tokens in a storage whose changes reach other tabs late stay logged in', async () => {
    const pages = await openAll(3, 'bearer');
    await logIn(pages[0]!);
    await expireWhileTheyCall(pages);
    expect(await context.cookies()).toEqual([]);
  });

  it('see no token where the transport is the cookie', async () => {
    const page = await open();
    await logIn(page);
    expect(await page.evaluate('[document.cookie, localStorage.length, sessionStorage.length]')).toEqual([
      '',
      0,
      0,
    ]);
    const names = (await context.cookies()).map(({ name }) => name).sort();
    expect(names).toEqual([COOKIES.access, COOKIES.device, COOKIES.refresh]);
  });

  it('continue when the refreshing tab is closed', async () => {
    const [victim, ...others] = (await openAll(3)) as [Page, Page, Page];
    await logIn(victim);
    let refreshing = false;
    await victim.route(`**${REFRESH}`, () => void (refreshing = true)); // and is never answered
    server.clock.advance(EXPIRY);
    await victim.evaluate(`void tab.call('${SESSION}')`);
    await eventually(() => expect(refreshing).toBe(true));
    const calls = others.map((page) => call(page));
    await victim.close();
    expect(await Promise.all(calls)).toEqual([200, 200]);
  });

  it('report a temporary failure offline, and continue when the network is back', async () => {
    const page = await open();
    await logIn(page);
    server.clock.advance(EXPIRY);
    await context.setOffline(true);
    expect(await call(page)).toBe('TypeError');
    await context.setOffline(false);
    expect([await call(page), await told(page)]).toEqual([200, []]);
  });

  it('all end with the reason when one of them logs out, and send no further request', async () => {
    const pages = await openAll(4);
    await logIn(pages[0]!);
    await keepCalling(pages);
    await nextRound(pages);
    await pages[1]!.evaluate('tab.logOut()');
    for (const page of pages) await page.waitForFunction('tab.told.length > 0');
    await stop(pages);
    for (const page of pages) {
      expect(await told(page)).toEqual(['logout']);
      // A tab that does not know its user yet may get 401: the note arrives after the cookies have ended.
      expect((await answers(page)).filter((answer) => answer !== 200 && answer !== 401)).toEqual(
        expect.arrayContaining(['SessionEnded: logout']),
      );
    }
    for (const path of [FLAGS, SESSION, REFRESH]) server.arrived(path);
    for (const page of pages) expect(await call(page)).toBe('SessionEnded: logout');
    expect([FLAGS, SESSION, REFRESH].map((path) => server.arrived(path))).toEqual([0, 0, 0]);
  });

  it('keep all data that is not the session after a logout: other cookies, drafts and the device token [SES-09]', async () => {
    const page = await open();
    await logIn(page);
    await context.addCookies([
      { name: 'theirs', value: 'of a sibling domain', domain: 'localhost', path: '/', httpOnly: true },
      { name: 'app', value: 'of the app', domain: 'localhost', path: '/', sameSite: 'Strict' },
    ]);
    await page.evaluate(KEEP_DRAFTS);
    await page.evaluate('tab.logOut()');
    const names = (await context.cookies()).map(({ name }) => name).sort();
    expect(names).toEqual([COOKIES.device, 'app', 'theirs']);
    expect(await (await open()).evaluate(READ_DRAFTS)).toEqual(['draft', 'draft', 'draft']);
  });

  it('keep no cookie of Drawbridge after the account is deleted, because the device no longer exists', async () => {
    const { email } = await createUser(server);
    const page = await open();
    await logIn(page, email);
    const deleted = page.evaluate(
      `tab.client.fetch('/v1/users/me', { method: 'DELETE' }).then(({ status }) => status)`,
    );
    expect(await deleted).toBe(204);
    expect(await context.cookies()).toEqual([]);
  });

  it('are one device and cause one mail about it, however often the user logs in and out', async () => {
    const { email } = await createUser(server);
    const page = await open();
    for (let login = 0; login < 5; login++) {
      await logIn(page, email);
      await page.evaluate('tab.logOut()');
    }
    const ofThePerson = (sql: string) => server.query(sql, [email]);
    expect(
      await ofThePerson('select name from devices join users on users.id = user_id where email = $1'),
    ).toHaveLength(1);
    expect(
      await ofThePerson(`select id from mails where template = 'new_device' and recipient = $1`),
    ).toHaveLength(1);
  });

  it('let the owner log in again after a logout while unknown devices are throttled [AUT-06]', async () => {
    const limited = await startServer({ env: { RATE_LIMITS: 'on' } });
    const { email } = await createUser(limited);
    const page = await open('cookie', limited.url.replace('127.0.0.1', 'localhost'));
    await logIn(page, email);
    await page.evaluate('tab.logOut()');
    const guess = async (password: string) =>
      (await limited.client().post('/v1/auth/login', { email, password, transport: 'bearer' })).status;
    for (let guesses = 0; guesses < 10; guesses++) expect(await guess('a wrong one')).toBe(401);
    expect(await guess(PASSWORD)).toBe(429);
    await logIn(page, email);
    expect(await call(page)).toBe(200);
    await limited.close();
  });

  it('that wait on the login page continue whenever the user logs in in one of them', async () => {
    const pages = (await openAll(3)) as [Page, Page, Page];
    const [first, second, third] = pages;
    expect(await Promise.all([call(second), call(third, FLAGS)])).toEqual([401, 401]);
    for (const page of [first, first, second]) {
      await logIn(page);
      for (const other of pages) for (let calls = 0; calls < 3; calls++) expect(await call(other)).toBe(200);
    }
    for (const page of pages) expect(await told(page)).toEqual([]);
    await third.evaluate('tab.logOut()');
    for (const page of pages) await page.waitForFunction('tab.told.length > 0');
    await logIn(second);
    for (const page of pages) await page.waitForFunction('tab.client.ended === null');
    for (const page of pages) expect(await call(page)).toBe(200);
  });

  it('report which setting to change when the browser drops the cookies of a login over plain HTTP', async () => {
    const page = await open('cookie', server.url.replace('127.0.0.1', 'mybox.lan'));
    await logIn(page);
    for (const path of [WHOAMI, REFRESH]) server.arrived(path);
    expect(await call(page)).toBe('SessionEnded: cookies_refused');
    expect(await told(page)).toEqual(['cookies_refused']);
    const advice = await page.evaluate('tab.client.ended.message');
    for (const word of ['COOKIE_SECURE=false', 'HTTPS', 'localhost', 'Safari'])
      expect(advice).toContain(word);
    expect([WHOAMI, REFRESH].map((path) => server.arrived(path))).toEqual([0, 1]);

    const lenient = await startServer({ env: { COOKIE_SECURE: 'false' } });
    const other = await open('cookie', lenient.url.replace('127.0.0.1', 'mybox.lan'));
    await logIn(other);
    expect([await call(other), await told(other)]).toEqual([200, []]);
    await lenient.close();
  });
});
