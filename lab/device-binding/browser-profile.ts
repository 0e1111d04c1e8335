import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContext, CDPSession, Page } from 'playwright-core';
import { startChromiumProfile } from '../../packages/client/test/browser/chromium.js';

/**
 * `RequireOriginTrialTokens`: otherwise a site has to take part in a trial. `RefreshQuota`: otherwise Chromium signs six
 * times in nine minutes for each site. Software keys: this machine has no TPM.
 */
const SOFTWARE_KEYS = 'EnableBoundSessionCredentialsSoftwareKeysForManualTesting';
const FEATURES = {
  bound: `DeviceBoundSessions:RequireOriginTrialTokens/false/RefreshQuota/false,${SOFTWARE_KEYS}`,
  withQuota: `DeviceBoundSessions:RequireOriginTrialTokens/false,${SOFTWARE_KEYS}`,
  plain: null,
};

/** The site of `app.example.com`: scheme and registrable domain. */
const SITE = 'https://example.com';

/** An answer that a page got. */
export interface PageAnswer {
  status: number;
  // Answers have every shape; the assertions of a test decide on the fields.
  body: any;
}

export interface ProfileOptions {
  features?: keyof typeof FEATURES;
  /** An existing folder of a profile. */
  folder?: string;
  args: string[];
}

/** Chromium with a user profile on disk, whose cookies and device keys outlive the process. */
export class BrowserProfile {
  /** The results of registrations and renewals, and the ends of bound sessions, as Chromium reports them. */
  readonly events: string[] = [];

  private constructor(
    readonly folder: string,
    readonly context: BrowserContext,
    readonly page: Page,
    private readonly cdp: CDPSession,
  ) {}

  static async start({ features = 'bound', folder, args }: ProfileOptions): Promise<BrowserProfile> {
    const used = folder ?? mkdtempSync(join(tmpdir(), 'drawbridge-profile-'));
    const enabled = FEATURES[features];
    const context = await startChromiumProfile(
      used,
      ...(enabled === null ? [] : [`--enable-features=${enabled}`]),
      ...args,
    );
    const page = context.pages()[0] ?? (await context.newPage());
    const cdp = await context.newCDPSession(page);
    const profile = new BrowserProfile(used, context, page, cdp);
    cdp.on('Network.deviceBoundSessionEventOccurred', (event) => {
      const { creationEventDetails, refreshEventDetails, terminationEventDetails, challengeEventDetails } =
        event;
      if (creationEventDetails) profile.events.push(`created: ${creationEventDetails.fetchResult}`);
      if (refreshEventDetails) profile.events.push(`renewed: ${refreshEventDetails.refreshResult}`);
      if (terminationEventDetails) profile.events.push(`ended: ${terminationEventDetails.deletionReason}`);
      if (challengeEventDetails) profile.events.push(`challenged: ${challengeEventDetails.challengeResult}`);
    });
    await cdp.send('Network.enable');
    await cdp.send('Network.enableDeviceBoundSessions', { enable: true });
    return profile;
  }

  /** A request of a page of the site. */
  async call(
    method: string,
    path: string,
    body?: object,
    { page = this.page, headers = {} }: { page?: Page; headers?: Record<string, string> } = {},
  ): Promise<PageAnswer> {
    return page.evaluate(
      async ([how, where, content, extra]) => {
        const answer = await fetch(where, {
          method: how,
          headers: { ...extra, ...(content && { 'content-type': 'application/json' }) },
          ...(content && { body: content }),
        });
        const text = await answer.text();
        const isJson = /json/.test(answer.headers.get('content-type') ?? '');
        return { status: answer.status, body: isJson ? JSON.parse(text) : null };
      },
      [method, path, body && JSON.stringify(body), headers] as const,
    );
  }

  get(path: string, page?: Page): Promise<PageAnswer> {
    return this.call('GET', path, undefined, { page });
  }

  pay(key: string, payment: object): Promise<PageAnswer> {
    return this.call('POST', '/v1/probe/payments', payment, { headers: { 'idempotency-key': key } });
  }

  /** Moves the end of a cookie. Its value stays. @param seconds from now */
  async endCookieIn(name: string, origin: string, seconds: number): Promise<void> {
    const cookie = (await this.context.cookies(origin)).find((one) => one.name === name)!;
    await this.context.addCookies([{ ...cookie, expires: Date.now() / 1_000 + seconds }]);
  }

  async deleteCookie(name: string, origin: string): Promise<void> {
    await this.cdp.send('Network.deleteCookies', { name, url: origin });
  }

  /** Chromium forgets the key, as after a loss of its secure hardware. */
  async forgetKey(id: string): Promise<void> {
    await this.cdp.send('Network.deleteDeviceBoundSession', { key: { site: SITE, id } });
  }

  async close(): Promise<void> {
    await this.context.close();
  }

  /** Closes it, and removes its folder. */
  async dispose(): Promise<void> {
    await this.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
