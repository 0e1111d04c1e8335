import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { ADMIN, ALICE, resetStores } from '../../test/support/app.js';
import { openPage, signIn, startConsole, type ConsoleServer } from '../../test/support/console.js';
import { sourceDigest } from '../pictures/made-from.js';
import { Recording } from '../pictures/recording.mjs';

const FOLDER = 'docs/images';
const MADE_FROM = `${FOLDER}/made-from.txt`;
/** `npm run pictures` replaces the pictures of the documentation. */
const WRITES = process.env['PICTURES'] === 'write';
const MAX_RECORDING_BYTES = 2_500_000;

/** Real: Chromium, the console, two instances with their stores. */
describeInChromium('the pictures of the documentation', () => {
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

  const keep = (name: string, picture: Buffer) => {
    if (!WRITES) return;
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(`${FOLDER}/${name}`, picture);
  };
  const viewport = { width: 620, height: 660 };

  it('include a recording of a force-logout that another instance refuses at once', async () => {
    const user = await openPage(browser, { viewport });
    await signIn(user, b.origin, ALICE.email, { path: '/console/security' });
    await user.goto(`${b.origin}/console/playground`);
    await user.getByRole('button', { name: 'Repeat each second' }).click();
    const admin = await openPage(browser, { viewport });
    await signIn(admin, a.origin, ADMIN.email, { path: `/console/users/${ALICE.id}` });
    await admin.getByRole('heading', { name: ALICE.email }).waitFor();

    const recording = new Recording(admin, user);
    await recording.follow(user.getByText('200').nth(5).waitFor());
    await recording.show(3_000);
    const signOut = admin.getByRole('button', { name: 'Sign out everywhere' });
    await signOut.scrollIntoViewIfNeeded();
    await signOut.hover();
    await recording.show(2_000);
    await signOut.click();
    await recording.show(2_500);
    await admin.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
    await recording.follow(refusedTwice(user));
    await recording.show(5_000);

    const picture = recording.encode();
    expect(recording.seconds).toBeGreaterThan(10);
    expect(recording.seconds).toBeLessThan(25);
    expect(picture.length).toBeLessThan(MAX_RECORDING_BYTES);
    keep('force-logout.gif', picture);
    await Promise.all([user, admin].map((page) => page.context().close()));
  });

  it.each([
    ['devices', '/console', ALICE],
    ['live', '/console/live', ADMIN],
  ])('include the page %s, on a desktop and on a phone', async (name, path, { email }) => {
    for (const [size, viewport] of Object.entries({
      desktop: { width: 1100, height: 760 },
      phone: { width: 375, height: 760 },
    })) {
      const page = await openPage(browser, { viewport });
      await signIn(page, a.origin, email, { path });
      await page.waitForLoadState('networkidle', { timeout: 2_000 }).catch(() => undefined); // a stream never is
      keep(`${name}-${size}.png`, await page.screenshot());
      const width = (await page.evaluate('document.documentElement.scrollWidth')) as number;
      expect(width).toBeLessThanOrEqual(viewport.width);
      expect(page.complaints).toEqual([]);
      await page.context().close();
    }
  });

  it('are those of this console: after a change, `npm run pictures` makes them again', () => {
    if (WRITES) writeFileSync(MADE_FROM, `${sourceDigest()}\n`);
    expect(readFileSync(MADE_FROM, 'utf8').trim()).toBe(sourceDigest());
  });
});

/** Both tiers have refused a request, because an admin ended the session. */
async function refusedTwice(page: Page): Promise<void> {
  await page.getByText('auth.session_ended · admin').nth(1).waitFor();
}
