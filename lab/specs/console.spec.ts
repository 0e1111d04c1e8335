import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { brotliDecompressSync } from 'node:zlib';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import {
  axeViolations,
  openPage,
  signIn,
  startConsole,
  type ConsoleServer,
} from '../../test/support/console.js';
import { eventually } from '../../test/support/waiting.js';

const BUILT = 'packages/console/dist';
/** Everything that a browser could load, compressed. */
const BUDGET_BYTES = 60_000;
/** The page, its script, its styles, and the first page that is shown. */
const FIRST_LOAD_BYTES = 30_000;

const assets = readdirSync(BUILT).filter((name) => /\.(js|css)$/.test(name));
const script = assets.find((name) => name.startsWith('main-'))!;

/** Real: the server and the built console. */
describe('the console', () => {
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { CONSOLE: 'on' } });
  });
  afterAll(() => app.close());

  it.each(['/console', '/console/security', '/console/users/1', '/verify-email', '/reset-password'])(
    'is the page at %s, which runs nothing but own scripts and is never cached',
    async (path) => {
      const { status, headers, text } = await app.client().get(path);
      expect(status).toBe(200);
      expect(headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
      });
      expect(headers['content-security-policy']).toMatch(
        /^default-src 'none'; script-src 'self'; style-src 'self';/,
      );
      expect(headers['content-security-policy']).not.toMatch(/unsafe|frame-src/);
      expect(text).toContain(`/console/assets/${script}`);
      expect(text).not.toMatch(/%[A-Z]+%/);
    },
  );

  it('serves its scripts and styles compressed and for ever, because their names change with their content', async () => {
    for (const name of assets) {
      const plain = await app.client().get(`/console/assets/${name}`);
      expect(plain.status).toBe(200);
      expect(plain.headers['cache-control']).toBe('public, max-age=31536000, immutable');
      expect(plain.headers['content-encoding']).toBeUndefined();
      const compressed = await app.app.inject({
        url: `/console/assets/${name}`,
        headers: { 'accept-encoding': 'gzip, br' },
      });
      expect(compressed.headers).toMatchObject({ 'content-encoding': 'br', vary: 'accept-encoding' });
      expect(brotliDecompressSync(compressed.rawPayload).toString()).toBe(plain.text);
    }
  });

  it.each(['nothing.js', '..%2f..%2fpackage.json', 'index.html', `${script}.br`, '__proto__', '%00'])(
    'serves no other file: %s',
    async (name) => {
      expect(await app.client().get(`/console/assets/${name}`)).toMatchObject({
        status: 404,
        headers: { 'content-type': 'application/problem+json; charset=utf-8', 'cache-control': 'no-store' },
      });
    },
  );

  it(`is at most ${BUDGET_BYTES} bytes, and its first page at most ${FIRST_LOAD_BYTES}`, async () => {
    const sizes = new Map(assets.map((name) => [name, readFileSync(join(BUILT, `${name}.br`)).length]));
    expect([...sizes.values()].reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(BUDGET_BYTES);
    const first = new Set(
      [script, 'sign-in'].flatMap((name) => withImports(assets.find((a) => a.startsWith(name))!)),
    );
    const total = [...first].reduce((sum, name) => sum + sizes.get(name)!, 0);
    expect(total).toBeLessThanOrEqual(FIRST_LOAD_BYTES);
  });

  it('tells its page of no demo users unless the server has them', async () => {
    const without = await startApp({ env: { CONSOLE: 'on', SEED_USERS: 'false' } });
    const { text } = await without.client().get('/console');
    await without.close();
    const [, content] = /name="console" content="([^"]*)"/.exec(text)!;
    expect(JSON.parse(content!.replaceAll('&#34;', '"'))).toEqual({
      product: 'Drawbridge',
      development: false,
      verifiesEmail: false,
      passwordMinLength: 15,
      hasCookies: false,
      demo: { emails: [], password: '' },
    });
  });

  it('is not served with CONSOLE=off, which is the default in production', async () => {
    const without = await startApp();
    for (const path of ['/console', '/console/assets/' + script, '/verify-email', '/reset-password'])
      expect((await without.client().get(path)).status).toBe(404);
    await without.close();
  });
});

/** A script and the scripts that it imports at once. */
function withImports(name: string): string[] {
  const text = readFileSync(join(BUILT, name), 'utf8');
  const imported = [...text.matchAll(/(?:from|import)"\.\/([^"]+)"/g)].map(([, file]) => file!);
  return [name, ...imported.flatMap(withImports)];
}

/** Real: Chromium, the console, two instances with their stores. */
describeInChromium('the console in a browser', () => {
  let a: ConsoleServer;
  let b: ConsoleServer;
  let browser: Browser;

  beforeAll(async () => {
    await resetStores();
    a = await startConsole();
    b = await startConsole();
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([a?.close(), b?.close()]);
  });

  it.each(['light', 'dark'] as const)(
    'has no violation of axe on its first pages (%s)',
    async (colorScheme) => {
      const page = await openPage(browser, { colorScheme });
      await page.goto(`${a.origin}/console`);
      await page.getByRole('heading', { name: 'Sign in' }).waitFor();
      expect(await axeViolations(page)).toEqual([]);
      await signIn(page, a.origin, ALICE.email);
      await page.getByText('this device').waitFor();
      expect(await axeViolations(page)).toEqual([]);
      expect(page.complaints).toEqual([]);
      await page.context().close();
    },
  );

  it('asks the server before a sign-in for the ways to sign in alone, so that the first page shows no error', async () => {
    const page = await openPage(browser);
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(`${a.origin}/console`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    const ways = [`${a.origin}/v1/auth/social`, `${a.origin}/v1/auth/login/passkey/options`];
    expect(requests.filter((url) => !/\/console(\/assets\/.*)?$/.test(url) && !ways.includes(url))).toEqual(
      [],
    );
    expect(requests.every((url) => url.startsWith(a.origin))).toBe(true);
    await page.context().close();
  });

  it('says why a session ended in every tab, without a click, when another instance ended it', async () => {
    const page = await openPage(browser);
    await signIn(page, a.origin, ALICE.email);
    const second = await page.context().newPage();
    await second.goto(`${a.origin}/console`);
    await second.getByRole('button', { name: 'Sign out' }).waitFor();

    const elsewhere = b.client();
    await elsewhere.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    expect((await elsewhere.request('DELETE', '/v1/sessions?except=current')).status).toBe(200);

    for (const tab of [page, second]) await tab.getByText('You signed out from another device.').waitFor();
    expect(page.complaints).toEqual([]);
    await page.context().close();
  });

  it('keeps a person signed in over a reload, and shows the page that was asked for after a sign-in', async () => {
    const page = await openPage(browser);
    await signIn(page, a.origin, ALICE.email, { path: '/console/security' });
    expect(new URL(page.url()).pathname).toBe('/console/security');
    await page.reload();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You signed out.').waitFor();
    await eventually(async () =>
      expect((await page.context().cookies()).map(({ name }) => name)).toEqual(['__Host-device']),
    );
    await page.context().close();
  });

  it('works without a mouse', async () => {
    const page = await openPage(browser);
    await page.goto(`${a.origin}/console`);
    await page.getByLabel('E-mail address').focus();
    await page.keyboard.type(ALICE.email);
    await page.keyboard.press('Tab');
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    await page.keyboard.press('Tab');
    await expect(page.evaluate('document.activeElement.tagName')).resolves.not.toBe('BODY');
    await page.context().close();
  });
});
