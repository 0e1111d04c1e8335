import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { describeInChromium } from '../../packages/client/test/browser/chromium.js';
import { ALICE, PASSWORD, resetStores } from '../../test/support/app.js';
import { TestClock } from '../../test/support/clock.js';
import { COOKIES } from '../../test/support/cookies.js';
import { Ticker } from '../../test/support/stream-routes.js';
import { eventually } from '../../test/support/waiting.js';
import { BrowserProfile, type ProfileOptions } from '../device-binding/browser-profile.js';
import { ServerBehindTls } from '../device-binding/server-behind-tls.js';
import { describeWithProxy, DOMAIN } from '../soak/proxies.js';

const MINUTE = 60_000;
const BOUND_COOKIE = 5 * MINUTE;
const ANSWER_LOST = 3_000;
const OTHER_SITE = 'another-site.example.net';
const SESSION = '/v1/sessions/current';
const FLAGS = '/v1/probe/flags';
const REFRESH = '/v1/auth/refresh';
const UNPROVEN = { status: 401, body: { code: 'auth.reauthentication_required', deviceKey: 'unproven' } };
const LATER = 429;
/** While there is no database, routes of the session tier answer 503, and nginx 502 after 503 of all instances. */
const REFUSALS_OF_OUTAGE = [LATER, 502, 503];

/**
 * Real: Chromium with software keys, nginx with the configuration in `deploy/`, two instances and their stores. A test
 * deletes the bound cookie where five minutes would pass, and advances the server's clock.
 */
describeInChromium('sessions that Chromium binds to its device keys', () => {
  describeWithProxy('nginx', 'behind nginx, with two instances', () => {
    let clock: TestClock;
    let server: ServerBehindTls;
    let profiles: BrowserProfile[];

    beforeAll(async () => {
      await resetStores();
      clock = new TestClock();
      server = await ServerBehindTls.start(clock);
    });
    afterAll(() => server?.stop());
    beforeEach(() => {
      profiles = [];
      server.requests.length = 0;
    });
    afterEach(async () => {
      server.postgres.heal();
      await Promise.all(profiles.map((profile) => profile.dispose()));
    });

    const open = async (options: Omit<ProfileOptions, 'args'> = {}): Promise<BrowserProfile> => {
      const browser = await BrowserProfile.start({
        ...options,
        args: server.argumentsFor(DOMAIN, OTHER_SITE),
      });
      profiles.push(browser);
      await browser.page.goto(`${server.origin}/a-page`);
      return browser;
    };
    const logIn = async (browser: BrowserProfile): Promise<string> => {
      const login = { email: ALICE.email, password: PASSWORD };
      const { status, body } = await browser.call('POST', '/v1/auth/login', login);
      expect(status).toBe(200);
      return body.session.id;
    };
    const untilRegistered = (browser: BrowserProfile, count = 1) =>
      eventually(() =>
        expect(browser.events.filter((event) => event === 'created: Success')).toHaveLength(count),
      );
    /** A browser whose session was bound longer ago than an answer may be on its way. */
    const openBound = async (
      options: Omit<ProfileOptions, 'args'> = {},
    ): Promise<{ browser: BrowserProfile; id: string }> => {
      const browser = await open(options);
      const id = await logIn(browser);
      await untilRegistered(browser);
      clock.advance(ANSWER_LOST);
      return { browser, id };
    };
    const expireBoundCookie = (browser: BrowserProfile) => browser.deleteCookie(COOKIES.bound, server.origin);
    const navigate = async (page: Page, path: string) => (await page.goto(server.origin + path))!;
    const stored = async (id: string, columns: string) =>
      (await server.query(`select ${columns} from sessions where id = $1`, [id]))[0];
    const expectBothTiers = async (browser: BrowserProfile, id: string) => {
      const session = await browser.get(SESSION);
      expect(session).toMatchObject({ status: 200, body: { id, binding: { carrier: 'dbsc' } } });
      expect((await browser.get(FLAGS)).status).toBe(200);
    };
    const accepted = () => server.renewals().filter(({ status }) => status === 200);

    it('are bound after a login without any work of the page, and both tiers accept the new cookies', async () => {
      const { browser, id } = await openBound();
      await expectBothTiers(browser, id);
      expect(server.registrations().map(({ status }) => status)).toEqual([200]);
      const cookies = await browser.context.cookies(server.origin);
      expect(cookies.map(({ name }) => name).sort()).toEqual(Object.values(COOKIES).sort());
      const { expires, ...attributes } = cookies.find(({ name }) => name === COOKIES.bound)!;
      expect(attributes).toMatchObject({ httpOnly: true, secure: true, sameSite: 'Lax', path: '/' });
      expect(expires - Date.now() / 1_000).toBeLessThanOrEqual(290);
      expect(expires - Date.now() / 1_000).toBeGreaterThan(240);
    });

    it('get a new bound cookie before the next request, so that no page sees a refusal', async () => {
      const { browser, id } = await openBound();
      await expireBoundCookie(browser);
      expect((await browser.get(FLAGS)).status).toBe(200);
      await expireBoundCookie(browser);
      const payment = { amount: 100, currency: 'EUR', recipient: 'Bob' };
      expect((await browser.pay('a-payment', payment)).status).toBe(201);
      await expireBoundCookie(browser);
      const document = await navigate(browser.page, SESSION);
      expect(document.status()).toBe(200);
      expect(await document.json()).toMatchObject({ id, binding: { carrier: 'dbsc' } });
      // The first renewal has no challenge yet. Each answer has the challenge of the next renewal.
      expect(server.renewals().map(({ status }) => status)).toEqual([403, 200, 200, 200]);
      expect(server.requests.filter(({ status }) => status === 401)).toEqual([]);
    });

    it('are proved before an event stream or a WebSocket opens, and an open one outlives the bound cookie', async () => {
      const { browser } = await openBound();
      const opened = async (kind: 'EventSource' | 'WebSocket', url: string) => {
        await expireBoundCookie(browser);
        return browser.page.evaluate(
          ([name, where]) =>
            new Promise((resolve) => {
              const page = globalThis as Record<string, any>;
              const connection = new page[name](where);
              connection.addEventListener('open', () => resolve('open'));
              for (const end of ['error', 'close'])
                connection.addEventListener(end, () => {
                  page['ended'] = `${name} ${end}`;
                  resolve('refused');
                });
              connection.addEventListener('message', () => (page['got'] = [...(page['got'] ?? []), name]));
            }),
          [kind, url] as const,
        );
      };
      expect(await opened('EventSource', '/v1/probe/streams/session')).toBe('open');
      expect(await opened('WebSocket', `wss://${DOMAIN}/v1/probe/sockets/session`)).toBe('open');
      expect(accepted()).toHaveLength(2);
      clock.advance(BOUND_COOKIE + MINUTE);
      for (const { get } of server.instances) get(Ticker).send('still open');
      await browser.page.waitForFunction('globalThis.got?.length === 2');
      expect(await browser.page.evaluate('[got.sort(), globalThis.ended]')).toEqual([
        ['EventSource', 'WebSocket'],
        undefined,
      ]);
    });

    it('get a new bound cookie in the background during the last two minutes of the former one', async () => {
      const { browser, id } = await openBound();
      await browser.endCookieIn(COOKIES.bound, server.origin, 200);
      expect((await browser.get(FLAGS)).status).toBe(200);
      expect(server.renewals()).toEqual([]);
      await browser.endCookieIn(COOKIES.bound, server.origin, 60);
      expect((await browser.get(FLAGS)).status).toBe(200);
      await eventually(() => expect(accepted()).toHaveLength(1));
      await eventually(() => expect(browser.events).toContain('renewed: Refreshed'));
      await expectBothTiers(browser, id);
      expect(accepted()).toHaveLength(1);
    });

    it('stay bound when the browser is closed and started again', async () => {
      const { browser: before, id } = await openBound();
      await before.close();
      const browser = await open({ folder: before.folder });
      await expectBothTiers(browser, id);
      await expireBoundCookie(browser);
      await expectBothTiers(browser, id);
      expect(accepted()).toHaveLength(1);
      expect(server.registrations()).toHaveLength(1);
    });

    it('are renewed once when two tabs send many requests without a bound cookie', async () => {
      const { browser } = await openBound();
      const second = await browser.context.newPage();
      await navigate(second, '/another-page');
      await expireBoundCookie(browser);
      const tabs = [browser.page, second];
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) => browser.get(index % 3 ? FLAGS : SESSION, tabs[index % 2])),
      );
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      expect(accepted()).toHaveLength(1);
    });

    it('go on with a refresh after a sleep that was longer than the access token', async () => {
      const { browser, id } = await openBound();
      await expireBoundCookie(browser);
      await browser.deleteCookie(COOKIES.access, server.origin);
      expect(await browser.call('POST', REFRESH)).toMatchObject({ status: 200, body: { session: { id } } });
      await expectBothTiers(browser, id);
      clock.advance(20 * 24 * 60 * MINUTE);
      await expireBoundCookie(browser);
      expect(await browser.get(FLAGS)).toMatchObject({ status: 401, body: { code: 'auth.token_expired' } });
      expect((await browser.call('POST', REFRESH)).status).toBe(200);
      await expectBothTiers(browser, id);
      expect(server.registrations()).toHaveLength(1);
    });

    it('are refused for a while, and neither ended nor stepped up, when Chromium signs no more for this site', async () => {
      const { browser, id } = await openBound({ features: 'withQuota' });
      const untilRefused = async (proofs = 1): Promise<number> => {
        await expireBoundCookie(browser);
        const { status } = await browser.get(FLAGS);
        if (status === 200 && proofs < 10) return untilRefused(proofs + 1);
        expect(status).toBe(LATER);
        return proofs;
      };
      // Six in nine minutes: the registration, and five renewals.
      expect(await untilRefused()).toBe(6);
      for (const path of [FLAGS, SESSION]) expect((await browser.get(path)).status).toBe(LATER);
      expect((await navigate(browser.page, SESSION)).status()).toBe(LATER);
      expect(await browser.call('POST', REFRESH)).toMatchObject({
        status: LATER,
        body: { code: 'request.rate_limited' },
      });
      const skipped = server.requests.filter(({ headers }) => headers['secure-session-skipped']);
      expect(new Set(skipped.map(({ status }) => status))).toEqual(new Set([LATER]));
      for (const { headers } of skipped)
        expect(headers['secure-session-skipped']).toBe(`quota_exceeded;session_identifier="${id}"`);
      expect(await stored(id, 'status, binding_version')).toEqual({ status: 'active', binding_version: 1 });
      // Chromium forgets the quota at its end, so this stands for nine minutes.
      await browser.close();
      const later = await open({ features: 'withQuota', folder: browser.folder });
      await expectBothTiers(later, id);
    });

    it('are refused without a logout while the server has no database, and go on by themselves afterwards', async () => {
      const { browser, id } = await openBound();
      await expireBoundCookie(browser);
      server.postgres.cut();
      const refusals: number[] = [];
      for (let time = 0; time < 8; time++)
        for (const path of [FLAGS, SESSION]) refusals.push((await browser.get(path)).status);
      refusals.push((await browser.call('POST', REFRESH)).status);
      expect(refusals.filter((status) => !REFUSALS_OF_OUTAGE.includes(status))).toEqual([]);
      expect(browser.events).toContain('renewed: ServerError');
      server.postgres.heal();
      await eventually(async () => expect((await browser.get(FLAGS)).status).toBe(200));
      await eventually(() => expectBothTiers(browser, id));
      expect(server.registrations()).toHaveLength(1);
      expect(await browser.call('POST', REFRESH)).toMatchObject({ status: 200, body: { session: { id } } });
    });

    it('need one step-up in place when Chromium has lost the key, and are then bound to a new one', async () => {
      const { browser, id } = await openBound();
      await expireBoundCookie(browser);
      await browser.forgetKey(id);
      expect(await browser.get(FLAGS)).toMatchObject(UNPROVEN);
      expect(await browser.get(SESSION)).toMatchObject(UNPROVEN);
      expect(await browser.call('POST', REFRESH)).toMatchObject(UNPROVEN);
      const stepUp = await browser.call('POST', '/v1/auth/reauthenticate', { password: PASSWORD });
      expect(stepUp).toMatchObject({ status: 200, body: { session: { id } } });
      await untilRegistered(browser, 2);
      await expectBothTiers(browser, id);
      await expireBoundCookie(browser);
      await expectBothTiers(browser, id);
      expect(accepted()).toHaveLength(1);
    });

    it('are forgotten by Chromium at its next proof after another client has ended them', async () => {
      const { browser, id } = await openBound();
      const other = server.instances[0]!.client();
      await other.login(ALICE.email, PASSWORD);
      expect((await other.delete(`/v1/sessions/${id}`)).status).toBe(200);
      const ended = { status: 401, body: { code: 'auth.session_ended' } };
      expect(await browser.get(SESSION)).toMatchObject(ended);
      expect(server.renewals()).toEqual([]);
      await expireBoundCookie(browser);
      for (const path of [FLAGS, SESSION, FLAGS]) expect(await browser.get(path)).toMatchObject(ended);
      expect(server.renewals().map(({ status }) => status)).toEqual([200]);
      await eventually(() => expect(browser.events).toContain('ended: ServerRequested'));
      // The next login of this browser is bound again.
      const next = await logIn(browser);
      await untilRegistered(browser, 2);
      await expectBothTiers(browser, next);
    });

    it('hold the next login back for a single request after a logout', async () => {
      const { browser } = await openBound();
      expect((await browser.call('POST', '/v1/auth/logout')).status).toBe(204);
      const next = await logIn(browser);
      expect(server.renewals().map(({ status }) => status)).toEqual([200]);
      await untilRegistered(browser, 2);
      await expectBothTiers(browser, next);
      expect(server.requests.filter(({ status }) => status === 401)).toEqual([]);
    });

    it('are renewed although Chromium still has the key of an earlier session, whose cookies it has lost', async () => {
      const { browser, id: before } = await openBound();
      for (const name of Object.values(COOKIES)) await browser.deleteCookie(name, server.origin);
      const id = await logIn(browser);
      await untilRegistered(browser, 2);
      expect(await stored(before, 'status')).toEqual({ status: 'active' });
      for (let time = 0; time < 2; time++) {
        await expireBoundCookie(browser);
        await expectBothTiers(browser, id);
      }
      expect(browser.events.filter((event) => event === 'ended: ServerRequested')).toHaveLength(1);
    });

    it('are of no use to a thief with a copy of every cookie, and their owner notices nothing', async () => {
      const { browser: owner, id } = await openBound();
      const thief = await open();
      const cookies = await owner.context.cookies(server.origin);
      await thief.context.addCookies(cookies);
      // The copied bound cookie is good for the rest of its five minutes.
      expect((await thief.get(FLAGS)).status).toBe(200);
      expect((await thief.get(SESSION)).status).toBe(200);
      clock.advance(BOUND_COOKIE);
      const state = () =>
        stored(id, 'rotation, key_version, superseded_keys, binding_version, key_proofs, status, device_key');
      const untouched = await state();
      for (const without of [false, true]) {
        if (without) await expireBoundCookie(thief);
        expect(await thief.get(FLAGS)).toMatchObject(UNPROVEN);
        expect(await thief.get(SESSION)).toMatchObject(UNPROVEN);
        expect(await thief.call('POST', REFRESH)).toMatchObject(UNPROVEN);
        expect((await navigate(thief.page, SESSION)).status()).toBe(401);
      }
      expect(thief.events).toEqual([]);
      expect(await state()).toEqual(untouched);

      server.requests.length = 0;
      await expireBoundCookie(owner);
      await expectBothTiers(owner, id);
      expect(await owner.call('POST', REFRESH)).toMatchObject({ status: 200, body: { session: { id } } });
      await expectBothTiers(owner, id);
      expect(new Set(server.requests.map(({ status }) => status))).toEqual(new Set([200, 403]));
      expect(await stored(id, 'status, binding_version')).toEqual({ status: 'active', binding_version: 1 });
    });

    it('are proved for a link of another site too, so that its page opens as logged in', async () => {
      const { browser, id } = await openBound();
      await browser.page.goto(`https://${OTHER_SITE}/a-page`);
      await expireBoundCookie(browser);
      const [document] = await Promise.all([
        browser.page.waitForResponse(server.origin + SESSION),
        browser.page.evaluate(
          (url) => void Object.assign(globalThis, { location: url }),
          server.origin + SESSION,
        ),
      ]);
      expect(document.status()).toBe(200);
      expect(await document.json()).toMatchObject({ id, binding: { carrier: 'dbsc' } });
      expect(server.requests.at(-1)?.headers['sec-fetch-site']).toBe('cross-site');
      expect(server.renewals().map(({ status }) => status)).toEqual([403, 200]);
    });

    it('lose no call of the client library while they are bound', async () => {
      const browser = await open();
      await browser.context.route('**/app/**', (route) => {
        const [, file] = /\/app\/client\/([\w-]+\.js)$/.exec(route.request().url()) ?? [];
        return file
          ? route.fulfill({ contentType: 'text/javascript', path: `packages/client/dist/${file}` })
          : route.fulfill({
              contentType: 'text/html',
              path: 'packages/client/test/browser/page.html',
            });
      });
      await navigate(browser.page, '/app/?transport=cookie');
      await browser.page.waitForFunction('window.tab');
      const answers = await browser.page.evaluate(
        async ([email, password]) => {
          const { tab } = globalThis as Record<string, any>;
          await tab.logIn(email, password);
          const calls: Promise<unknown>[] = [];
          for (let call = 0; call < 60; call++) {
            calls.push(tab.call(call % 2 ? '/v1/probe/flags' : '/v1/sessions/current'));
            await new Promise((resume) => setTimeout(resume, 5));
          }
          return Promise.all(calls);
        },
        [ALICE.email, PASSWORD],
      );
      await untilRegistered(browser);
      expect(answers).toEqual(answers.map(() => 200));
      expect(server.registrations().map(({ status }) => status)).toEqual([200]);
    });

    it('do not exist in a Chromium without the feature, which goes on as before', async () => {
      const browser = await open({ features: 'plain' });
      const id = await logIn(browser);
      for (let time = 0; time < 3; time++) {
        const session = await browser.get(SESSION);
        expect(session).toMatchObject({ status: 200, body: { id } });
        expect(session.body.binding).toBeUndefined();
        expect((await browser.get(FLAGS)).status).toBe(200);
        expect((await browser.call('POST', REFRESH)).status).toBe(200);
      }
      await browser.deleteCookie(COOKIES.access, server.origin);
      expect((await browser.call('POST', REFRESH)).status).toBe(200);
      expect((await browser.get(FLAGS)).status).toBe(200);
      expect([server.registrations(), server.renewals()]).toEqual([[], []]);
    });
  });
});
