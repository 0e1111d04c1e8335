import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { holdBackgroundWork, resetStores } from '../../test/support/app.js';
import {
  openPage,
  objectionsTo,
  signIn,
  startConsole,
  type ConsolePage,
  type ConsoleServer,
} from '../../test/support/console.js';
import { createUser, loggedIn } from '../../test/support/test-users.js';

/** Real: Chromium, the console, two instances with their stores. */
describeInChromium('the playground of the console', () => {
  let a: ConsoleServer;
  let b: ConsoleServer;
  let browser: Browser;
  let page: ConsolePage;
  let email: string;

  beforeAll(async () => {
    await resetStores();
    const env = { NODE_ENV: 'development' };
    [a, b] = [await startConsole(env), await startConsole(env)];
    [a, b].forEach(holdBackgroundWork); // development prints its mails
    browser = await startChromium();
  });
  beforeEach(async () => {
    ({ email } = await createUser(a));
    page = await openPage(browser);
    await signIn(page, a.origin, email);
    await page.goto(`${a.origin}/console/playground`);
  });
  afterEach(async () => {
    expect(page.complaints).toEqual([]);
    await page.context().close();
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([a?.close(), b?.close()]);
  });

  const rows = (tier: string) => page.getByRole('region', { name: tier }).locator('tbody tr');
  const newest = (tier: string) => rows(tier).first().locator('td').allInnerTexts();
  const answers = (text: string) =>
    Promise.all(['Access tier', 'Session tier'].map((tier) => rows(tier).first().getByText(text).waitFor()));
  const send = () => page.getByRole('button', { name: 'Send both' }).click();

  it('sends the same request to both tiers, and names the store that answered each', async () => {
    await send();
    await answers('200');
    expect(await newest('Access tier')).toEqual([
      '200',
      expect.stringMatching(/^[\d.]+ ms$/),
      expect.stringMatching(/^token and denial list, [\d.]+ ms$/),
    ]);
    expect(await newest('Session tier')).toEqual([
      '200',
      expect.stringMatching(/^[\d.]+ ms$/),
      expect.stringMatching(/^(session cache|PostgreSQL), [\d.]+ ms$/),
    ]);
    expect(await objectionsTo(page, 'playground')).toEqual([]);
  });

  it('shows both tiers refuse with the reason after another instance ended the session', async () => {
    await send();
    await answers('200');
    const elsewhere = await loggedIn(b, { email });
    expect((await elsewhere.delete('/v1/sessions?except=current')).status).toBe(200);
    await page.getByText('The session of this page has ended. Both tiers refuse its cookies.').waitFor();
    await send();
    await answers('401 auth.session_ended · logout_others');
    expect(await objectionsTo(page, 'playground-ended')).toEqual([]);
  });

  it('ends its own session after a question, and keeps the page, so that both refusals are seen', async () => {
    await page.getByRole('button', { name: 'End my session' }).click();
    await page.getByRole('dialog').locator('[type=submit]').click();
    await page.getByText('The session of this page has ended. Both tiers refuse its cookies.').waitFor();
    await send();
    await answers('401 auth.session_ended · logout');
  });
});
