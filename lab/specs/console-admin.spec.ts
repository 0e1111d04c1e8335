import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { CachePort } from '../../src/platform/cache/cache-port.js';
import { machineOf } from '../../test/support/api-keys.js';
import { ADMIN, PASSWORD, resetStores } from '../../test/support/app.js';
import {
  expectAccessible,
  openPage,
  signIn,
  startConsole,
  type ConsolePage,
  type ConsoleServer,
} from '../../test/support/console.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { enrol } from '../../test/support/second-factor.js';
import { createUser, createUsers, loggedIn, type TestUser } from '../../test/support/test-users.js';
import { eventually } from '../../test/support/waiting.js';

const APPLIED = 'Applied on all instances.';

/**
 * Real: two Chromium profiles, the built console, two instances on one PostgreSQL and one Redis. Between the instances
 * and Redis a network that fails on demand. The admin is on instance A, the user on instance B.
 */
describeInChromium('the pages of users', () => {
  describeWithRedis('with two instances', () => {
    let toRedis: FaultProxy;
    let a: ConsoleServer;
    let b: ConsoleServer;
    let browser: Browser;
    let user: TestUser;
    /** Of the admin. */
    let page: ConsolePage;
    const pages: ConsolePage[] = [];

    beforeAll(async () => {
      await resetStores();
      toRedis = await FaultProxy.before(process.env['TEST_REDIS_URL']!);
      const env = { REDIS_URL: toRedis.url };
      [a, b] = [await startConsole(env), await startConsole(env)];
      browser = await startChromium();
    });
    afterAll(async () => {
      await browser?.close();
      await Promise.all([a?.close(), b?.close()]);
      await toRedis.close();
    });
    beforeEach(async () => {
      user = await loggedIn(b, await createUser(b));
      page = await newPage();
    });
    afterEach(async () => {
      for (const each of pages.splice(0)) {
        expect(each.complaints).toEqual([]);
        await each.context().close();
      }
    });

    /** A page in a browser profile of its own. */
    const newPage = async () => {
      const opened = await openPage(browser);
      pages.push(opened);
      return opened;
    };
    const button = (name: string) => page.getByRole('button', { name, exact: true });
    const inDialog = (name: string) => page.getByRole('dialog').getByRole('button', { name, exact: true });
    /** Clicks a button, and confirms in the dialog that opens. */
    const confirm = async (name: string, confirmation = name) => {
      await button(name).click();
      await inDialog(confirmation).click();
    };
    const says = (text: string, on: ConsolePage = page) => on.getByText(text).waitFor();
    const openUsers = () => signIn(page, a.origin, ADMIN.email, { path: '/console/users' });
    const openUser = async () => {
      await openUsers();
      await page.getByLabel('Search').fill(user.email);
      await page.getByRole('link', { name: user.email }).click();
      await page.getByRole('heading', { name: user.email, level: 1 }).waitFor();
    };
    /** The user in a browser, on instance B. */
    const signedInUser = async () => {
      const opened = await newPage();
      await signIn(opened, b.origin, user.email);
      await opened.getByText('this device').waitFor();
      return opened;
    };
    const userAsAdminSeesIt = async () =>
      (await (await loggedIn(a, ADMIN)).get(`/v1/admin/users/${user.userId}`)).body;

    it('list users in pages, and find them by the beginning of the address', async () => {
      await createUsers(a, 60);
      await openUsers();
      const rows = page.locator('tbody tr');
      await button('Show more').waitFor();
      expect(await rows.count()).toBe(50);
      await button('Show more').click();
      await button('Show more').waitFor({ state: 'detached' });
      expect(await rows.count()).toBeGreaterThanOrEqual(61);
      const part = user.email.slice(0, 13).toUpperCase();
      await page.getByLabel('Search').fill(part);
      await page.waitForURL(`**/console/users?query=${part}`);
      await rows.nth(1).waitFor({ state: 'detached' });
      expect(await rows.allInnerTexts()).toEqual([expect.stringContaining(user.email)]);
      await expectAccessible(page);
      await page.getByLabel('Search').fill('no such user');
      await says('No user matches.');
      await page.reload();
      await says('No user matches.');
    });

    it('end one session on A, and the page of the user on B says why within a moment', async () => {
      const signedIn = await signedInUser();
      await openUser();
      await expectAccessible(page);
      await page.getByRole('button', { name: 'End session of Chrome' }).click();
      await inDialog('End session').click();
      await says(`The session has ended. ${APPLIED}`);
      await says('An administrator ended this session.', signedIn);
      await says('Routes that check only the access token refuse it within moments');
      expect((await user.get('/v1/sessions/current')).status).toBe(200);
      await page.getByLabel('Show').selectOption('ended');
      await says('An administrator ended it.');
      expect(await page.getByRole('button', { name: /End session of/ }).count()).toBe(0);
    });

    it('end all sessions of a user, on every instance', async () => {
      const signedIn = await signedInUser();
      await openUser();
      await confirm('Sign out everywhere');
      await says(`The user is signed out everywhere. ${APPLIED}`);
      await says('An administrator ended this session.', signedIn);
      await says('There are none.');
      const refused = { status: 401, body: { reason: 'admin' } };
      expect(await user.get('/v1/sessions/current')).toMatchObject(refused);
    });

    it('ban a user with a reason and an end, and lift the ban', async () => {
      const signedIn = await signedInUser();
      await openUser();
      await button('Ban').click();
      await page.getByLabel('Reason').fill('sends spam');
      await page.getByLabel('Until').fill('2199-01-02T03:04');
      await expectAccessible(page);
      await inDialog('Ban').click();
      await says(`The account is banned. ${APPLIED}`);
      await says('This account is suspended.', signedIn);
      const until = new Date('2199-01-02T03:04').toISOString();
      expect(await userAsAdminSeesIt()).toMatchObject({ banReason: 'sends spam', bannedUntil: until });
      await says('sends spam');
      expect((await b.client().login(user.email, PASSWORD)).status).toBe(401);
      await button('Lift the ban').click();
      await says(`The ban is lifted. ${APPLIED}`);
      expect((await b.client().login(user.email, PASSWORD)).status).toBe(200);
    });

    it('give a role, which opens the pages of admins to the user', async () => {
      await openUser();
      await page.getByLabel('Administrator').check();
      await button('Save roles').click();
      await says('The roles are in force on the next request.');
      expect(await userAsAdminSeesIt()).toMatchObject({ roles: ['user', 'admin'] });
      const signedIn = await signedInUser();
      await signedIn.getByRole('link', { name: 'Users' }).click();
      await signedIn.getByRole('heading', { name: 'Everyone' }).waitFor();
    });

    it('reset the second factor of a user who has lost it', async () => {
      await enrol(b, user);
      await openUser();
      await confirm('Reset second factor');
      await says(`The second factor is reset. ${APPLIED}`);
      const { body } = await b.client().login(user.email, PASSWORD);
      expect(body).toHaveProperty('session.id');
    });

    it('end a key, and show no secret', async () => {
      const machine = await machineOf(b, user);
      await openUser();
      await says('a machine');
      expect(await page.content()).not.toContain(machine.apiKey);
      await confirm('End key a machine', 'End key');
      await says(`The key has ended. ${APPLIED}`);
      expect((await machine.get('/v1/probe/flags')).status).toBe(401);
    });

    it('count down to the bound of a receipt while the cache is away, and say when it is applied', async () => {
      await openUser();
      toRedis.cut();
      for (const { get } of [a, b])
        await eventually(() => expect(get(CachePort).ping()).rejects.toThrow(/unavailable/));
      await confirm('Sign out everywhere');
      await page.getByText(/Pending\. In force on all instances at .+ at the latest\./).waitFor();
      const secondsLeft = async () => Number.parseInt((await page.innerText('.countdown')).slice(1), 10);
      const first = await secondsLeft();
      expect(first).toBeGreaterThan(0);
      expect(first).toBeLessThanOrEqual(30);
      await eventually(async () => expect(await secondsLeft()).toBeLessThan(first));
      const region = page.getByRole('status').filter({ hasText: 'Pending' });
      expect(await region.count()).toBe(1);
      toRedis.heal();
      await says(`The user is signed out everywhere. ${APPLIED}`);
      expect(await page.locator('.countdown').count()).toBe(0);
    });

    it('sign out everyone only after the word is typed, and show the progress after the next login', async () => {
      const signedIn = await signedInUser();
      await openUsers();
      const requests: string[] = [];
      page.on('request', (request) => requests.push(new URL(request.url()).pathname));
      await button('Sign out everyone').click();
      for (const text of ['', 'Everyone', 'everyone else', 'every']) {
        await page.getByLabel('to confirm').fill(text);
        await inDialog('Sign out everyone').click();
        expect(await page.evaluate('document.querySelector("dialog form").checkValidity()')).toBe(false);
      }
      expect(requests).not.toContain('/v1/admin/sessions/end-all');
      await page.getByLabel('to confirm').fill('everyone');
      await inDialog('Sign out everyone').click();
      for (const on of [page, signedIn]) await says('An administrator ended the sessions of all users.', on);
      expect(requests.filter((path) => path === '/v1/admin/sessions/end-all')).toHaveLength(1);
      await page.getByLabel('E-mail address').fill(ADMIN.email);
      await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
      await button('Sign in').click();
      await says(`Everyone is signed out. ${APPLIED}`);
    });

    it('are closed to other users, who see no link to them', async () => {
      const opened = await newPage();
      const requests: string[] = [];
      opened.on('request', (request) => requests.push(request.url()));
      await signIn(opened, b.origin, user.email, { path: '/console/users' });
      for (const path of ['/console/users', `/console/users/${user.userId}`, '/console/events']) {
        await opened.goto(b.origin + path);
        await says('Your account may not do this.', opened);
        const links = await opened.getByRole('navigation').getByRole('link').allInnerTexts();
        expect(links).toEqual(['Devices', 'Security', 'Access', 'Playground']);
      }
      expect(requests.filter((url) => url.includes('/v1/admin'))).toEqual([]);
      await expectAccessible(opened);
    });
  });
});
