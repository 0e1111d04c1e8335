import { firefox, type Browser } from 'playwright-core';
import { findBrowser } from './chromium.js';

const executable = findBrowser(process.env['FIREFOX_PATH'], ['firefox', 'firefox-esr']);

/** A group of tests that can't run without a browser; the reporter lists them, and CI fails, when there is none. */
export function describeInFirefox(name: string, fn: () => void): void {
  if (executable) describe(name, fn);
  else describe.skip(`${name} (no Firefox at FIREFOX_PATH nor on PATH)`, fn);
}

/**
 * The Firefox of the machine, by WebDriver BiDi. It does not emulate colour schemes, and `fill` adds to an e-mail field
 * that is not empty.
 */
export function startFirefox(): Promise<Browser> {
  return firefox.launch({ channel: 'moz-firefox', executablePath: executable });
}
