import { expect } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { startApp, PASSWORD, type TestApp } from './app.js';
import { freePort } from './outside-person.js';

const REPORT_VIOLATIONS = `addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
  complain('content security policy: ' + violatedDirective + ' ' + blockedURI))`;

/** An instance on a port of http://localhost that serves the console. */
export interface ConsoleServer extends TestApp {
  origin: string;
}

export async function startConsole(env: Record<string, string | undefined> = {}): Promise<ConsoleServer> {
  const port = Number(env['PORT'] ?? (await freePort()));
  const app = await startApp({ env: { CONSOLE: 'on', PORT: String(port), ...env } });
  await app.app.listen(port, '127.0.0.1');
  return { ...app, origin: `http://localhost:${port}` };
}

export interface ConsolePage extends Page {
  /** Errors of the page, messages of the browser's console, and violations of the content security policy. */
  readonly complaints: string[];
}

/** A page in a browser profile of its own. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<ConsolePage> {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, ...options });
  return recorded(await context.newPage());
}

/** Records what the page complains about. An answer with an error status is not a complaint: pages expect refusals. */
export async function recorded(page: Page): Promise<ConsolePage> {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (
      ['error', 'warning'].includes(message.type()) &&
      !message.text().startsWith('Failed to load resource')
    )
      complaints.push(message.text());
  });
  await page.exposeFunction('complain', (complaint: string) => complaints.push(complaint));
  await page.addInitScript(REPORT_VIOLATIONS);
  return Object.assign(page, { complaints });
}

/** As {@link recorded}, for all pages of a browser profile. The pages of outside providers do not count. */
export async function complaintsIn(context: BrowserContext): Promise<string[]> {
  const complaints: string[] = [];
  context.on('weberror', (error) => complaints.push(String(error.error())));
  context.on('console', (message) => {
    const { url } = message.location();
    const isOurs = !/^https?:/.test(url) || new URL(url).hostname === 'localhost';
    const isAnswer = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && isOurs && !isAnswer) complaints.push(message.text());
  });
  await context.exposeFunction('complain', (complaint: string) => complaints.push(complaint));
  await context.addInitScript(REPORT_VIOLATIONS);
  return complaints;
}

/** Fills and sends the form of the sign-in page, with any result. */
export async function fillSignIn(page: Page, email: string, password = PASSWORD): Promise<void> {
  await page.fill('[name=email]', email);
  await page.fill('[name=password]', password);
  await page.click('main form [type=submit]');
}

/** Signs in at the page that is shown instead of the one that was asked for. */
export async function signIn(
  page: Page,
  origin: string,
  email: string,
  { path = '/console', password = PASSWORD } = {},
): Promise<void> {
  await page.goto(origin + path);
  await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
}

const AXE = readFileSync('node_modules/axe-core/axe.min.js', 'utf8');

interface AxeResult {
  violations: { id: string; help: string; nodes: { html: string; failureSummary: string }[] }[];
}

/** The violations that axe finds in the page, as sentences: WCAG 2.2 A and AA, and best practices. */
export async function axeViolations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = (await page.evaluate('axe.run()')) as AxeResult;
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${help}: ${html}\n${failureSummary}`),
  );
}

/** The page as it is now has no violation in light and dark, and fits a phone of 375 px as well as a desktop. */
export async function expectAccessible(page: Page): Promise<void> {
  expect(await objectionsTo(page)).toEqual([]);
}

/** Contrast depends on the colours, and the layout on the width, so two of the four combinations find everything. */
const LOOKS = [
  { width: 375, colorScheme: 'light' },
  { width: 1_100, colorScheme: 'dark' },
] as const;

/**
 * The violations that axe finds in the page, and whether the page scrolls sideways on a phone.
 *
 * @param name of pictures in the folder `SCREENSHOTS`, if both are given
 */
export async function objectionsTo(page: Page, name?: string): Promise<string[]> {
  const size = page.viewportSize()!;
  const objections: string[] = [];
  for (const { width, colorScheme } of LOOKS) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    objections.push(...(await axeViolations(page)));
    if (await page.evaluate('document.documentElement.scrollWidth > innerWidth'))
      objections.push(`scrolls sideways at ${width} px`);
    const folder = process.env['SCREENSHOTS'];
    if (folder && name)
      await page.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png`, fullPage: true });
  }
  await page.setViewportSize(size);
  return objections;
}
