import { afterAll, afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { describeInChromium, startChromium } from '../../packages/client/test/browser/chromium.js';
import { InstanceReports } from '../../src/admin/live/instance-reports.js';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { machineOf } from '../../test/support/api-keys.js';
import { ADMIN, ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { SteadyClock } from '../../test/support/clock.js';
import {
  axeViolations,
  openPage,
  signIn,
  startConsole,
  type ConsolePage,
  type ConsoleServer,
} from '../../test/support/console.js';
import { listening, openStream, type OpenClient } from '../../test/support/streams.js';
import { createUser, loggedIn } from '../../test/support/test-users.js';
import { eventually, Gate } from '../../test/support/waiting.js';

const FEED = '/v1/revocations/stream';
const CAUSE = { reason: 'admin', actorId: null, context: null } as const;
const DELAY = /^\d+ ± \d+ ms$|^[\d.]+ s ± \d+ ms$/;

/** Real: Chromium, the console, two instances, a verifier's stream. Simulated: the time by which one becomes blind. */
describeInChromium('the console shows live', () => {
  let a: ConsoleServer;
  let b: TestApp;
  let browser: Browser;
  let page: ConsolePage;
  let verifier: OpenClient;

  beforeAll(async () => {
    await resetStores();
    a = await startConsole();
    b = await listening(await startApp({ clock: new SteadyClock() }));
    browser = await startChromium();
    const machine = await machineOf(a, await loggedIn(a, ADMIN), {
      name: 'invoices',
      scopes: ['revocations:read'],
    });
    verifier = await openStream(b, FEED, machine);
  });
  beforeEach(async () => {
    page = await openPage(browser);
    await signIn(page, a.origin, ADMIN.email, { path: '/console/live' });
    await lane(a).waitFor();
    await lane(b).waitFor();
    await page.getByRole('list', { name: 'Verifiers of' }).waitFor();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await page.context().close();
  });
  afterAll(async () => {
    verifier?.close();
    await browser?.close();
    await Promise.all([a?.close(), b?.close()]);
  });

  const idOf = (app: TestApp) => app.get(InstanceReports).id;
  /** The lane of an instance. */
  const lane = (app: TestApp) => page.locator('.lane', { hasText: idOf(app).slice(0, 8) });
  const verifierLane = () => page.locator('.lane', { hasText: 'invoices' });
  const delayAt = (lane: ReturnType<typeof verifierLane>) => lane.locator('.lane-delay').innerText();
  const pollOf = (app: TestApp) => app.get(RevocationSubscriber) as unknown as { poll(): Promise<void> };
  const endOne = async (app: TestApp): Promise<number> => {
    const person = await loggedIn(app, await createUser(app));
    return (await app.get(RevocationService).endSession(person.id, CAUSE))!.seq;
  };

  it('each revocation with its delay, on a lane for each instance and each verifier', async () => {
    const seq = await endOne(b);
    await page.getByText(`Delay of revocation ${seq}`).waitFor();
    await eventually(async () => {
      for (const reached of [lane(a), lane(b), verifierLane()]) expect(await delayAt(reached)).toMatch(DELAY);
    });
    const row = page.getByRole('row', { name: `Revocation ${seq}` });
    expect(await row.innerText()).toMatch(/3 of 3\s+.+ ± .+\s+a session\s+admin/);
    await eventually(async () =>
      expect(await page.locator('p[role=status]').innerText()).toMatch(
        new RegExp(`^Revocation ${seq}, a session, admin: 3 of 3 lanes after at most .+\\.$`),
      ),
    );
  });

  it('the delays of an earlier revocation when it is selected', async () => {
    const first = await endOne(b);
    const second = await endOne(b);
    await page.getByText(`Delay of revocation ${second}`).waitFor();
    const button = page.getByRole('button', { name: `Revocation ${first}: show its delays` });
    await button.focus();
    await page.keyboard.press('Enter');
    await page.getByText(`Delay of revocation ${first}`).waitFor();
    await page.keyboard.press('Enter');
    await page.getByText(`Delay of revocation ${second}`).waitFor();
  });

  it('a revocation as waiting on the lane that it has not reached', async () => {
    const gate = new Gate();
    const poll = pollOf(b).poll.bind(pollOf(b));
    jest.spyOn(pollOf(b), 'poll').mockImplementation(() => gate.opened.then(poll));
    const seq = await endOne(a);
    await page.getByText(`Delay of revocation ${seq}`).waitFor();
    await eventually(async () => expect(await delayAt(lane(a))).toMatch(DELAY));
    for (const unreached of [lane(b), verifierLane()]) expect(await delayAt(unreached)).toBe('waiting');
    gate.open();
    await eventually(async () => {
      for (const reached of [lane(b), verifierLane()]) expect(await delayAt(reached)).toMatch(DELAY);
    });
  });

  it('which instance is blind, until it can see again', async () => {
    await lane(b).getByText('current', { exact: true }).waitFor();
    const cut = jest.spyOn(pollOf(b), 'poll').mockRejectedValue(new Error('cut'));
    (b.clock as SteadyClock).advanceSteadily(6_000);
    await lane(b).getByText('blind', { exact: true }).waitFor();
    await lane(b).getByText('its list of ended sessions may be incomplete').waitFor();
    expect(await lane(a).getByText('current', { exact: true }).count()).toBe(1);
    cut.mockRestore();
    await b.get(RevocationSubscriber).catchUp();
    await lane(b).getByText('current', { exact: true }).waitFor();
  });

  it('the logins and the refusals of all instances, and the number of live sessions', async () => {
    const logins = page.locator('.card', { has: page.getByRole('heading', { name: 'Logins' }) });
    const count = async () => Number.parseInt(await logins.locator('.figure').innerText());
    const before = await count();
    expect((await b.client().login(ALICE.email, PASSWORD, { transport: 'bearer' })).status).toBe(200);
    expect((await b.client().login(ALICE.email, 'not the password')).status).toBe(401);
    await page.getByRole('row', { name: 'auth.invalid_credentials 1' }).waitFor();
    await eventually(async () => expect(await count()).toBe(before + 1));
    const [{ live }] = (await a.query(
      `select count(*)::int as live from sessions where status = 'active'`,
    )) as [{ live: number }];
    const sessions = page.locator('.card', { has: page.getByRole('heading', { name: 'Live sessions' }) });
    await sessions.getByText(String(live), { exact: true }).waitFor();
  });

  it('that the connection is lost, and goes on when it is back', async () => {
    await page.route('**/v1/admin/live', (route) => route.abort());
    a.app.getHttpServer().closeAllConnections();
    await page.getByText('The connection is lost').waitFor();
    expect(await lane(b).count()).toBe(1);
    await page.unroute('**/v1/admin/live');
    await page.getByText('The connection is lost').waitFor({ state: 'detached' });
    const seq = await endOne(b);
    await page.getByText(`Delay of revocation ${seq}`).waitFor();
    await eventually(async () => expect(await delayAt(lane(b))).toMatch(DELAY));
  });

  it('why the session of the admin has ended', async () => {
    const id = (await page.evaluate(
      `fetch('/v1/sessions/current').then((r) => r.json()).then((s) => s.id)`,
    )) as string;
    await b.get(RevocationService).endSession(id, CAUSE);
    await page.getByText('An administrator ended this session.').waitFor();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    expect(page.complaints).toEqual([]);
  });

  it.each(['light', 'dark'] as const)('everything without a violation of axe (%s)', async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    const seq = await endOne(b);
    await b.client().login(ALICE.email, 'not the password');
    await page.getByText(`Delay of revocation ${seq}`).waitFor();
    await page.getByRole('row', { name: 'auth.invalid_credentials' }).waitFor();
    expect(await axeViolations(page)).toEqual([]);
    await page.setViewportSize({ width: 375, height: 800 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(375);
    expect(page.complaints).toEqual([]);
  });
});
