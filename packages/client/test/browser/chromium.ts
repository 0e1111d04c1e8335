import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser, type BrowserContext } from 'playwright-core';

const executable = findBrowser(process.env['CHROMIUM_PATH'], [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
]);

/** The first program that exists: the one that is named, or one of these names on `PATH`. */
export function findBrowser(named: string | undefined, names: string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const onPath = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return [named, ...onPath].find((path) => path && isExecutable(path));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A group of tests that can't run without a browser; the reporter lists them, and CI fails, when there is none. */
export function describeInChromium(name: string, fn: () => void): void {
  if (executable) describe(name, fn);
  else describe.skip(`${name} (no Chromium at CHROMIUM_PATH nor on PATH)`, fn);
}

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** @param args further ones, such as rules for names */
export function startChromium(...args: string[]): Promise<Browser> {
  return chromium.launch({ executablePath: executable, args: [...ARGUMENTS, ...args] });
}

/**
 * Chromium with one user profile, whose cookies and keys stay in the folder. Every answer of a site serves as a page for
 * scripts of the test, whatever its content security policy says.
 *
 * @param args further ones
 */
export function startChromiumProfile(folder: string, ...args: string[]): Promise<BrowserContext> {
  return chromium.launchPersistentContext(folder, {
    executablePath: executable,
    args: [...ARGUMENTS, ...args],
    bypassCSP: true,
  });
}

/** Serves a page with the built client under `/app/`, on the origin that a test opens. */
export async function serveClientPages(context: BrowserContext): Promise<void> {
  await context.route('**/app/**', (route) => {
    const [, file] = /\/app\/client\/([\w-]+\.js)$/.exec(route.request().url()) ?? [];
    if (file) return route.fulfill({ contentType: 'text/javascript', path: `packages/client/dist/${file}` });
    const body = readFileSync('packages/client/test/browser/page.html');
    return route.fulfill({ contentType: 'text/html', body });
  });
}
