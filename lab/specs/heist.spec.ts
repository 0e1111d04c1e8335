import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { FastifyInstance } from 'fastify';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { COOKIES } from '../../test/support/cookies.js';
import { eventually } from '../../test/support/waiting.js';

const [ALICE, BOB] = ['alice@example.com', 'bob@example.com'];
/** The report of a run, or a part of it. */
type Report = Record<string, any>;

/**
 * Real: Chromium, both sites, the server on http://localhost and http://127.0.0.1, and its stores. The pages of the product
 * are the attackers; the tests only open them.
 */
describeInChromium('the token heist', () => {
  let app: TestApp;
  let port: string;
  let browser: Browser;
  let context: BrowserContext;

  beforeAll(async () => {
    // In development, mails are printed.
    jest.spyOn(console, 'log').mockImplementation(() => undefined);
    await resetStores();
    const folder = mkdtempSync(join(tmpdir(), 'drawbridge-heist-'));
    app = await startApp({ env: { NODE_ENV: 'development', CONSOLE: 'on', DATA_DIR: folder } });
    await app.app.listen(0, '127.0.0.1');
    ({ port } = new URL(await app.app.getUrl()));
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app.close();
    jest.restoreAllMocks();
  });
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(() => context.close());

  const at = (name = 'localhost') => `http://${name}:${port}`;
  const request = async (method: string, path: string, body?: object, name?: string): Promise<Report> => {
    const answer = await fetch(at(name) + path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    return (await answer.json()) as Report;
  };
  const start = (act: number, options: object = {}, name?: string) =>
    request('POST', `/dev/heist/acts/${act}`, options, name);
  const open = async (run: Report): Promise<Page[]> => {
    const pages: Page[] = [];
    for (const url of run['pages'] as string[]) {
      const page = await context.newPage();
      await page.goto(url);
      pages.push(page);
    }
    return pages;
  };
  /** The report of a run, once it shows what the test waits for. */
  const reported = (run: Report, isThere: (report: Report) => boolean): Promise<Report> =>
    eventually(async () => {
      const report = await request('GET', `/dev/heist/runs/${run['id']}`);
      if (!isThere(report)) throw new Error(JSON.stringify(report, null, 2));
      return report;
    });
  const sentBy = (report: Report, name: string) =>
    (report['requests'] as Report[]).filter(({ as }) => as === name);

  it.each(['localhost', '127.0.0.1'])(
    'shows that a script in a page of %s takes a token from localStorage, and that the end of the session stops the thief',
    async (name) => {
      const run = await start(1, { victim: ALICE }, name);
      const [forum] = await open(run);
      const report = await reported(run, ({ result }) => result !== null);
      expect(report['result']).toBe('stolen');
      expect(report['loot']).toEqual({
        session: ['accessToken', 'refreshToken'],
        storedKeys: ['session'],
        cookies: [],
      });
      expect(report['uses']).toMatchObject([
        { presented: 'access token', path: '/v1/users/me', status: 200, body: { email: ALICE } },
      ]);
      expect(sentBy(report, 'thief')).toMatchObject([{ userAgent: 'Thief/1.0', status: 200, origin: null }]);

      await forum!.click('#end');
      await forum!.waitForSelector('#message:has-text("The session has ended: applied.")');
      const after = await request('POST', `/dev/heist/runs/${run['id']}/thief`);
      expect(after['uses'][1]).toMatchObject({ status: 401, code: 'auth.session_ended' });
      await eventually(async () => {
        const { items } = await request('GET', '/dev/mails');
        expect(items).toContainEqual(
          expect.objectContaining({ to: ALICE, subject: 'Your session was used in an unusual way' }),
        );
      });
    },
  );

  it.each(['localhost', '127.0.0.1'])(
    'shows that the same script in a page of %s reads no HttpOnly cookie, and what it can still do',
    async (name) => {
      const run = await start(2, { victim: BOB }, name);
      await open(run);
      const report = await reported(run, (found) => found['result'] && sentBy(found, 'script').length > 0);
      expect(report['result']).toBe('nothing');
      expect(report['loot']).toEqual({ session: null, storedKeys: [], cookies: [] });
      expect(report['uses']).toMatchObject([
        { presented: 'cookies', status: 401, code: 'auth.unauthenticated' },
      ]);
      // The browser adds the cookies to requests of the script: it acts as the user, but takes nothing away.
      const cookies = await context.cookies();
      const names = cookies.filter(({ httpOnly }) => httpOnly).map((cookie) => cookie.name);
      expect(names.sort()).toEqual([COOKIES.access, COOKIES.device, COOKIES.refresh]);
      expect(sentBy(report, 'script')).toMatchObject([{ status: 200, secFetchSite: 'same-origin' }]);
      expect(sentBy(report, 'script')[0]!['cookies'].sort()).toEqual(names);
    },
  );

  it('shows that a content security policy stops the script itself', async () => {
    const run = await start(2, { contentSecurityPolicy: true });
    await open(run);
    const report = await reported(run, ({ result }) => result !== null);
    expect(report).toMatchObject({
      result: 'blocked',
      loot: null,
      violations: [{ directive: 'script-src-attr', blocked: 'inline' }],
    });
    expect(sentBy(report, 'script')).toEqual([]);
  });

  it.each(['localhost', '127.0.0.1'])(
    'shows that forms and fetches of another site change nothing for a visitor who is logged in at %s',
    async (name) => {
      const run = await start(3, { victim: ALICE }, name);
      const [forum] = await open(run);
      await forum!.waitForSelector('#message:has-text("Still logged in, and nothing has changed.")');
      const report = await reported(run, ({ result }) => result !== null);
      expect(report['result']).toBe('refused');
      const answers = (report['attempts'] as string[]).map((attempt) => {
        const { method, status, code } = sentBy(report, attempt)[0]!;
        return { attempt, method, status, code };
      });
      expect(answers).toEqual([
        { attempt: 'form-login', method: 'POST', status: 415, code: 'request.media_type' },
        { attempt: 'form-logout', method: 'POST', status: 415, code: 'request.media_type' },
        { attempt: 'form-disguised-as-json', method: 'POST', status: 415, code: 'request.media_type' },
        { attempt: 'fetch-read', method: 'GET', status: 401, code: 'auth.unauthenticated' },
        { attempt: 'fetch-logout', method: 'POST', status: 403, code: 'request.cross_site' },
        { attempt: 'fetch-login', method: 'OPTIONS', status: 405, code: 'request.method' },
        { attempt: 'form-navigation', method: 'POST', status: 415, code: 'request.media_type' },
      ]);
      const attempts = (report['requests'] as Report[]).filter(({ as }) => report['attempts'].includes(as));
      expect(attempts.map(({ secFetchSite, cookies }) => ({ secFetchSite, cookies }))).toEqual(
        attempts.map(() => ({ secFetchSite: 'cross-site', cookies: [] })),
      );
    },
  );

  it('shows that the second use of a refresh token ends the session, and that its owner gets a mail', async () => {
    const run = await start(4, { victim: BOB });
    const [forum] = await open(run);
    await forum!.waitForSelector('#message:has-text("You were logged out: refresh_reuse.")');
    const report = await reported(run, ({ mail }) => mail !== null);
    expect(report['result']).toBe('caught');
    expect(report['uses']).toMatchObject([
      {
        presented: 'refresh token',
        path: '/v1/auth/refresh',
        status: 401,
        code: 'auth.session_ended',
        reason: 'refresh_reuse',
      },
    ]);
    const owner = sentBy(report, 'owner').map(({ path, status, reason }) => ({ path, status, reason }));
    expect(owner).toEqual([
      { path: '/v1/auth/login', status: 200, reason: null },
      { path: '/v1/auth/refresh', status: 200, reason: null },
      { path: '/v1/users/me', status: 401, reason: 'refresh_reuse' },
    ]);
    expect(report['mail']).toMatchObject({
      to: BOB,
      subject: 'Your session may have been copied, and was ended',
    });
  });

  it('leaves the session that the visitor has in this browser', async () => {
    await open(await start(2, { victim: ALICE }));
    await eventually(async () => expect(await context.cookies()).toHaveLength(3));
    const before = await context.cookies();
    for (const act of [1, 4, 2]) {
      const run = await start(act, { victim: BOB });
      await open(run);
      await reported(run, ({ result }) => result !== null);
    }
    expect(await context.cookies()).toEqual(before);
  });

  it('ends the session of an earlier act, so that acts do not use up the sessions of a user', async () => {
    const countLive = async () => {
      const live = await app.query(
        `select from sessions join users on users.id = user_id
         where email = $1 and transport = 'bearer' and ended_at is null`,
        [BOB],
      );
      return live.length;
    };
    const before = await countLive();
    for (const act of [1, 1, 1]) {
      const run = await start(act, { victim: BOB });
      await open(run);
      await reported(run, ({ result }) => result !== null);
    }
    expect(await countLive()).toBe(before + 1);
  });

  it('runs in the frames of another page', async () => {
    const [outer] = await open(await start(2));
    await outer!.waitForSelector('#message:has-text("This page keeps no token.")');
    const run = await start(3);
    await outer!.evaluate((urls) => {
      // The compiler knows no browser here.
      const { document } = globalThis as Record<string, any>;
      for (const src of urls) document.body.append(Object.assign(document.createElement('iframe'), { src }));
    }, run['pages'] as string[]);
    expect((await reported(run, ({ result }) => result !== null))['result']).toBe('refused');
  });

  it('names the line of code that decides each act', async () => {
    for (const act of [1, 2, 3, 4]) {
      const { decidedBy } = await start(act);
      for (const { file, line, text } of decidedBy as { file: string; line: number; text: string }[])
        expect(readFileSync(file, 'utf8').split('\n')[line - 1]!.trim()).toBe(text);
    }
  });

  it('gives each site only its own pages, and takes loot only at the site of the thief', async () => {
    const { id } = await start(1);
    const statusOf = async (path: string, name: string) => (await fetch(at(name) + path)).status;
    const loot = encodeURIComponent(JSON.stringify({ session: null, storedKeys: [], cookies: '' }));
    for (const [path, name, status] of [
      [`/dev/heist/forum?run=${id}`, 'localhost', 200],
      [`/dev/heist/forum?run=${id}`, '127.0.0.1', 404],
      [`/dev/heist/thief?run=${id}`, '127.0.0.1', 200],
      [`/dev/heist/thief?run=${id}`, 'localhost', 404],
      [`/dev/heist/loot?run=${id}&loot=${loot}`, 'localhost', 404],
      [`/dev/heist/loot?run=${id}&loot=${loot}`, '127.0.0.1', 204],
    ] as const)
      expect([path, name, await statusOf(path, name)]).toEqual([path, name, status]);
  });
});

/** Real: the application, as it is served in each environment. */
describe.each(['test', 'production'])('in the environment %s', (nodeEnv) => {
  it('no route of the token heist exists', async () => {
    const settings = { KEYS_FILE: 'those of the test', RATE_LIMITS: 'on', SEED_USERS: 'false' };
    const { app, close } = await startApp({ env: { NODE_ENV: nodeEnv, CONSOLE: 'on', ...settings } });
    const routes = (app.getHttpAdapter().getInstance() as unknown as FastifyInstance).printRoutes({
      commonPrefix: false,
    });
    await close();
    expect(routes).toContain('jwks.json');
    expect(routes).not.toContain('heist');
  });
});
