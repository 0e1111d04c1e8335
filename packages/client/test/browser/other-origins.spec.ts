import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { ALICE, PASSWORD, resetStores } from '../../../../test/support/app.js';
import { createUser } from '../../../../test/support/test-users.js';
import { describeInChromium, startChromium } from './chromium.js';
import { EXPIRY, FLAGS, REFRESH, SESSION, startServer, type TestServer } from '../support.js';

/** Serves the app for every host name. A Playwright route would also answer the preflights instead of the server. */
async function startPages(): Promise<Server> {
  const pages = createServer(({ url = '' }, response) => {
    const [, file] = /\/app\/client\/([\w-]+\.js)$/.exec(url) ?? [];
    response.setHeader('content-type', file ? 'text/javascript' : 'text/html');
    response.end(
      readFileSync(file ? `packages/client/dist/${file}` : 'packages/client/test/browser/page.html'),
    );
  });
  await new Promise<void>((listening) => pages.listen(0, '127.0.0.1', listening));
  return pages;
}

const TRUSTED = {
  'a sibling domain': ['shop.example.localhost', 'same-site'],
  'another port of the same host': ['api.example.localhost', 'same-site'],
  'another site': ['elsewhere.localhost', 'cross-site'],
} as const;

/** Real: Chromium, which sends Origin and preflights; the built client; the server. */
describeInChromium('a page of another origin', () => {
  let server: TestServer;
  let pages: Server;
  let browser: Browser;
  let context: BrowserContext;
  let pagesPort: number;
  let api: string;
  const sites = new Set<unknown>();

  beforeAll(async () => {
    await resetStores();
    pages = await startPages();
    pagesPort = (pages.address() as AddressInfo).port;
    const TRUSTED_ORIGINS = Object.values(TRUSTED)
      .map(([host]) => `http://${host}:${pagesPort}`)
      .join();
    server = await startServer({ env: { TRUSTED_ORIGINS } });
    api = server.url.replace('127.0.0.1', 'api.example.localhost');
    const http = server.app.getHttpServer() as unknown as Server;
    http.on('request', ({ method, headers }) => method !== 'OPTIONS' && sites.add(headers['sec-fetch-site']));
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    pages.close();
    await server.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    sites.clear();
  });
  afterEach(() => context.close());

  async function open(host: string, transport: string): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`http://${host}:${pagesPort}/app/?transport=${transport}&api=${api}`);
    await page.waitForFunction('window.tab');
    return page;
  }

  const call = (page: Page, path: string) => page.evaluate(`tab.call('${path}')`);
  /** The result of a login: the user's address, or the error. */
  const logIn = (page: Page, email: string) =>
    page.evaluate(
      `tab.client.login({ email: '${email}', password: '${PASSWORD}' })
        .then(({ user }) => user.email, ({ name, code }) => code ?? name)`,
    );

  it.each(Object.entries(TRUSTED))(
    'that is trusted (%s) registers, logs in, refreshes and logs out by bearer tokens, without a cookie',
    async (_which, [host, site]) => {
      const { email } = await createUser(server);
      const page = await open(host, 'bearer');
      const registered = page.evaluate(`tab.client.fetch('/v1/auth/register', {
        method: 'POST',
        credentials: 'omit',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: 'new-${email}', password: 'a password of some length' }),
      }).then(({ status }) => status)`);
      expect(await registered).toBe(202);
      expect(await logIn(page, email)).toBe(email);
      server.arrived(REFRESH);
      server.clock.advance(EXPIRY);
      expect([await call(page, FLAGS), await call(page, SESSION)]).toEqual([200, 200]);
      expect(server.arrived(REFRESH)).toBeGreaterThanOrEqual(1);
      await page.evaluate('tab.logOut()');
      expect(await call(page, SESSION)).toBe('SessionEnded: logout');
      expect([...sites]).toEqual([site]);
      expect(await context.cookies()).toEqual([]);
    },
  );

  it.each(Object.entries(TRUSTED))('that is trusted (%s) gets no cookies', async (_which, [host]) => {
    const page = await open(host, 'cookie');
    expect(await logIn(page, ALICE.email)).toBe('request.cross_site');
    expect(await context.cookies()).toEqual([]);
  });

  it('that is trusted cannot act by the cookies of the user who visits it', async () => {
    await context.close();
    // The API's own answers run no script; the user's page on its origin does.
    context = await browser.newContext({ bypassCSP: true });
    const home = await context.newPage();
    await home.goto(`${api}/health/live`);
    const login = home.evaluate(`fetch('/v1/auth/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: '${ALICE.email}', password: '${PASSWORD}' }),
    }).then(({ status }) => status)`);
    expect(await login).toBe(200);
    const sibling = await open('shop.example.localhost', 'bearer');
    const withCookies = (path: string, method: string) =>
      sibling.evaluate(`fetch('${api}${path}', { method: '${method}', credentials: 'include' })
        .then(async (answer) => (await answer.json()).code ?? answer.status)`);
    expect(await withCookies(SESSION, 'GET')).toBe(200); // CORS shares this answer
    for (const path of ['/v1/auth/logout', REFRESH])
      expect(await withCookies(path, 'POST')).toBe('request.cross_site');
    expect(await withCookies(SESSION, 'GET')).toBe(200);
  });

  it('that is not trusted fails in the preflight, before the browser sends a password', async () => {
    const page = await open('evil.example.localhost', 'bearer');
    expect(await logIn(page, ALICE.email)).toBe('AuthUnavailable');
    expect([...sites]).toEqual([]);
  });
});
