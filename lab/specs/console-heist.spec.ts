import { afterAll, afterEach, beforeAll, expect, it, jest } from '@jest/globals';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Locator } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { resetStores } from '../../test/support/app.js';
import {
  axeViolations,
  openPage,
  startConsole,
  type ConsolePage,
  type ConsoleServer,
} from '../../test/support/console.js';

/** The browser reports these of the attack pages, which are refused. The console's own page must cause none. */
const OF_THE_ATTACKS = [
  /^Access to fetch at 'http:\/\/localhost:\d+\/v1\/auth\/login\?heist=/,
  /^Framing 'http:\/\/localhost:\d+\/' violates .*"frame-ancestors 'none'"/,
];

/** Real: Chromium, the built console, the attack pages, both sites, the server, PostgreSQL and Redis. */
describeInChromium('the page of the heist', () => {
  let server: ConsoleServer;
  let browser: Browser;
  let page: ConsolePage;

  beforeAll(async () => {
    // In development, mails are printed.
    jest.spyOn(console, 'log').mockImplementation(() => undefined);
    await resetStores();
    const folder = mkdtempSync(join(tmpdir(), 'drawbridge-console-heist-'));
    server = await startConsole({ NODE_ENV: 'development', DATA_DIR: folder });
    browser = await startChromium();
  });
  afterEach(() => page.context().close());
  afterAll(async () => {
    await browser?.close();
    await server.close();
    jest.restoreAllMocks();
  });

  const open = async (options?: BrowserContextOptions): Promise<void> => {
    page = await openPage(browser, options);
    await page.goto(`${server.origin}/console/heist`);
    await page.getByRole('heading', { name: 'Heist' }).waitFor();
  };
  const act = (number: number): Locator =>
    page.locator('section').filter({ has: page.getByRole('button', { name: `Run act ${number}` }) });
  const run = async (number: number): Promise<Locator> => {
    const section = act(number);
    await section.getByRole('button', { name: `Run act ${number}` }).click();
    await section.getByRole('heading', { name: 'The code that decides it' }).waitFor();
    return section;
  };
  const verdictOf = (section: Locator) => section.locator('.notice').first().textContent();
  /** The lines of the table as texts: sender, request, answer, Sec-Fetch-Site, cookies. */
  const requestsOf = async (section: Locator): Promise<string[][]> => {
    const rows = await section.locator('tbody tr').all();
    return Promise.all(rows.map((row) => row.locator('td').allTextContents()));
  };
  const complaintsOfConsole = () =>
    page.complaints.filter((complaint) => !OF_THE_ATTACKS.some((expected) => expected.test(complaint)));

  it('shows what the thief steals from localStorage, and that the end of the session makes it worthless', async () => {
    await open();
    const section = await run(1);
    expect(await verdictOf(section)).toBe('Stolen The thief has read the profile of the owner.');
    await section.getByText('accessToken, refreshToken', { exact: true }).waitFor();
    await section.getByText('src/console/heist/pages/forum.js:').first().waitFor();
    await section
      .getByRole('region', { name: 'The script of act 1' })
      .getByText('localStorage.getItem')
      .waitFor();
    await section.getByText('The comment of the thief').click();
    await section.getByRole('region', { name: 'The comment of act 1' }).getByText('onerror=').waitFor();

    await section.getByRole('button', { name: 'Let the thief try again' }).click();
    await section.getByText('The stolen token still works.').waitFor();
    const forum = section.frameLocator('iframe');
    await forum.getByRole('button', { name: 'End this session' }).click();
    await forum.getByText('The session has ended: applied.').waitFor();
    await section.getByRole('button', { name: 'Let the thief try again' }).click();
    await section.getByText('The server now refuses the stolen token: auth.session_ended.').waitFor();
    expect(await requestsOf(section)).toContainEqual([
      'the thief',
      'GET /v1/users/me',
      '401 auth.session_ended · logout',
      'not a browser',
      'none',
    ]);
    await page.getByText('so they sign you in here as alice@example.com').waitFor();
    expect(complaintsOfConsole()).toEqual([]);
  });

  it('signs in for the attack on cookies, says so before, and shows the user afterwards', async () => {
    await open();
    await page.getByText('so they sign you in here as alice@example.com').waitFor();
    const section = await run(2);
    expect(await verdictOf(section)).toMatch(/^Nothing to steal /);
    await page.locator('header').getByText('alice@example.com').waitFor();
    await page.getByText('in which you are signed in as alice@example.com. It stays as it is.').waitFor();
    await section.getByRole('cell', { name: 'the script' }).waitFor();
    expect(complaintsOfConsole()).toEqual([]);
  });

  it('signs in for the attack also after this page has signed out', async () => {
    await open();
    await run(2);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('so they sign you in here as alice@example.com').waitFor();
    expect(await verdictOf(await run(2))).toMatch(/^Nothing to steal /);
    await page.locator('header').getByText('alice@example.com').waitFor();
  });

  it('shows that its content security policy blocks the script of the thief in the forum', async () => {
    await open();
    await act(2).getByRole('checkbox').check();
    const section = await run(2);
    expect(await verdictOf(section)).toMatch(/^Blocked /);
    await section.getByRole('listitem').filter({ hasText: 'script-src-attr: inline' }).waitFor();
    expect(page.complaints).toContain('content security policy: script-src-attr inline');
  });

  it('shows the refusal of each request of the other site, in frames and in tabs', async () => {
    await open();
    const attempts = async (section: Locator) =>
      (await requestsOf(section))
        .filter(([sender]) => sender !== 'the forum')
        .map(([sender, , answer, site, cookies]) => [sender, answer, site, cookies].join(' | '))
        .sort();
    const refused = [
      'fetch-login | 405 request.method | cross-site | none',
      'fetch-logout | 403 request.cross_site | cross-site | none',
      'fetch-read | 401 auth.unauthenticated | cross-site | none',
      'form-disguised-as-json | 415 request.media_type | cross-site | none',
      'form-login | 415 request.media_type | cross-site | none',
      'form-logout | 415 request.media_type | cross-site | none',
      'form-navigation | 415 request.media_type | cross-site | none',
    ];
    const framed = await run(3);
    expect(await verdictOf(framed)).toMatch(/^Refused /);
    expect(await attempts(framed)).toEqual(refused);
    expect(complaintsOfConsole()).toEqual([]);

    await framed.getByRole('checkbox').check();
    await framed.getByRole('button', { name: 'Run act 3' }).click();
    for (const name of ['The forum', 'The site of the thief'])
      await framed.getByRole('link', { name: `Open in a tab: ${name}` }).click();
    await framed.getByText('Refused').waitFor();
    expect(await attempts(framed)).toEqual(refused);
    await page.locator('header').getByText('alice@example.com').waitFor();
  });

  it('shows that the second use of a refresh token is caught, and the mail to the owner', async () => {
    await open();
    const section = await run(4);
    expect(await verdictOf(section)).toMatch(/^Caught /);
    await section.getByRole('heading', { name: 'Mail to alice@example.com' }).waitFor();
    await section.getByText('Your session may have been copied, and was ended').click();
    await section.locator('.mail').getByText('session').waitFor();
    expect(complaintsOfConsole()).toEqual([]);
  });

  it('closes the pages of an act when another one starts, and keeps the verdict', async () => {
    await open();
    await run(1);
    await run(4);
    expect(await act(1).locator('iframe').count()).toBe(0);
    expect(await act(1).getByRole('button', { name: 'Let the thief try again' }).count()).toBe(0);
    expect(await act(4).locator('iframe').count()).toBe(1);
    expect(await verdictOf(act(1))).toMatch(/^Stolen /);
  });

  it.each(['light', 'dark'] as const)(
    'is accessible and fits a phone in %s colours, before and after the acts',
    async (colorScheme) => {
      await open({ colorScheme, viewport: { width: 375, height: 800 } });
      expect(await axeViolations(page)).toEqual([]);
      for (const number of [1, 2, 3, 4]) await run(number);
      // The navigation of a frame to another process resets the emulated colours.
      await page.emulateMedia({ colorScheme });
      expect(await axeViolations(page)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(375);
    },
  );
});
