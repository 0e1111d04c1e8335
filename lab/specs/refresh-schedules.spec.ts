import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { SessionRepository } from '../../src/sessions/session.repository.js';
import type { RotationState } from '../../src/sessions/refresh/rotation.js';
import type { Transport } from '../../src/sessions/session.entity.js';
import { ALICE, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import type { Answer, Client } from '../../test/support/client.js';
import { StoppedClock } from '../../test/support/clock.js';
import { overHttp } from '../../test/support/over-http.js';
import { expectBothTiers, loggedIn, type Person } from '../../test/support/test-users.js';
import {
  CopiedJar,
  doubleUses,
  exchangeLimitOf,
  LONG_AFTER,
  SharedJar,
  tabSchedules,
  thefts,
  type DoubleUse,
  type TabSchedule,
  type Theft,
} from '../../test/support/refresh-schedules.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { eventually, Gate } from '../../test/support/waiting.js';
import { COOKIES } from '../../test/support/cookies.js';

/**
 * Real: two instances over sockets, and one PostgreSQL. Controlled: the clock, which stands still until a schedule
 * advances it. The schedules are those of `rotation.spec.ts`. `SEED=n npm run test:all -- refresh-schedules` repeats one, but
 * simultaneous requests may be answered in another order.
 */

const GRACE = 10_000;
const MINUTE = 60_000;
/**
 * So many requests look their session up at the same time. No pool has a queue that a slow machine could make too
 * long.
 */
const FEW = 10;
const SUPERSEDED = { status: 503, body: { code: 'auth.unavailable' }, setCookies: [] };
const REUSE = { status: 401, body: { code: 'auth.session_ended', reason: 'refresh_reuse' } };

const clock = new StoppedClock();
let instances: [TestApp, TestApp];
let urls: string[];

beforeAll(async () => {
  if (!process.env['TEST_REDIS_URL']) return; // and no test runs, because two instances need Redis
  await resetStores();
  const start = () => startApp({ clock, env: { SESSION_LIMIT: '1000' } });
  instances = [await start(), await start()];
  urls = await Promise.all(instances.map(({ app }) => app.listen(0, '127.0.0.1').then(() => app.getUrl())));
});
afterAll(() => Promise.all((instances ?? []).map((app) => app.close())));

/** The seed of the environment, or a random one; a failure prints it. */
const trying = (numRuns: number) => ({
  numRuns,
  seed: process.env['SEED'] ? Number(process.env['SEED']) : undefined,
  endOnFailure: true,
  noBias: true, // a login costs more than a schedule, so none is short on purpose
});
const transports = fc.constantFrom<Transport>('cookie', 'bearer');

/** Requests go to one instance and the other in turn. */
let requests = 0;
const somewhere = () => overHttp(urls[requests++ % urls.length]!);

const sum = (counts: number[]) => counts.reduce((all, one) => all + one, 0);

const logIn = (transport: Transport) => loggedIn(somewhere(), ALICE, transport);

const tokenOf = (client: Client): string => client.refreshToken ?? client.jar.get(COOKIES.refresh)!;

function holding(client: Client, token: string): Client {
  const other = client.copy().at(somewhere());
  if (client.refreshToken) other.refreshToken = token;
  else other.jar.set(COOKIES.refresh, token);
  return other;
}

function withoutDevice(client: Client): Client {
  client.jar.delete(COOKIES.device);
  client.deviceToken = undefined;
  return client;
}

/** Presents a token as this client would, and returns the new one. */
async function refresh(client: Client, token: string): Promise<string> {
  const tab = holding(client, token);
  const answer = await tab.refresh();
  if (answer.status !== 200) throw new Error(`logged out: ${answer.status} ${answer.text}`);
  return tokenOf(tab);
}

const rotationOf = async ({ id }: Person): Promise<RotationState> => {
  const [row] = await instances[0].query<{ rotation: RotationState }>(
    'select rotation from sessions where id = $1',
    [id],
  );
  return row!.rotation;
};

describeWithRedis('an honest client', () => {
  it('stays logged in (R2), whatever up to four tabs send, lose, and receive late and out of order', async () => {
    const play = async (transport: Transport, schedule: TabSchedule) => {
      const alice = await logIn(transport);
      // The test awaits an answer where it arrives, or advances the time; until then requests overlap.
      let underWay: Promise<string>[] = [];
      const jar = new SharedJar(Promise.resolve(tokenOf(alice)), exchangeLimitOf(GRACE));
      for (const event of jar.play(schedule)) {
        if ('wait' in event) {
          await Promise.all(underWay);
          underWay = [];
          clock.advance(event.wait);
        } else {
          event.answer = event.request.then((token) => refresh(alice, token));
          event.answer.catch(() => undefined);
          underWay.push(event.answer);
        }
      }
      await Promise.all(underWay);
      await refresh(alice, await jar.holds);
    };
    await fc.assert(fc.asyncProperty(transports, tabSchedules({ grace: GRACE }), play), trying(80));
  });

  it('stays logged in when requests that it aborted arrive late, with refreshes faster than the grace (R2)', async () => {
    const play = async (transport: Transport, schedule: TabSchedule) => {
      const alice = await logIn(transport);
      const jar = new SharedJar(tokenOf(alice), exchangeLimitOf(GRACE), 3 * GRACE);
      for (const event of jar.play(schedule)) {
        if ('wait' in event) clock.advance(event.wait);
        else if (event.isDelayed) {
          const answer = await holding(alice, event.request).refresh();
          if (answer.status !== 200) expect(answer).toMatchObject(SUPERSEDED);
        } else event.answer = await refresh(alice, event.request);
      }
      await refresh(alice, jar.holds);
    };
    const schedules = tabSchedules({
      grace: GRACE,
      maxTabs: 1,
      losses: 2,
      delays: 4,
      absences: [GRACE / 2],
    });
    await fc.assert(fc.asyncProperty(transports, schedules, play), trying(40));
  });

  it.each<Transport>(['cookie', 'bearer'])(
    'continues after the arrival of a request from 15 s ago, which ends no session and gets no token (%s)',
    async (transport) => {
      const alice = await logIn(transport);
      const delayed = tokenOf(alice);
      let token = await refresh(alice, delayed);
      for (let round = 0; round < 5; round++) {
        clock.advance(GRACE / 2);
        token = await refresh(alice, token);
      }
      const answer = await holding(alice, delayed).refresh();
      expect(answer).toMatchObject({ ...SUPERSEDED, headers: { 'retry-after': expect.any(String) } });
      await refresh(alice, token);
      clock.advance(5 * GRACE);
      expect(await holding(alice, delayed).refresh()).toMatchObject(REUSE);
    },
  );

  it.each<Transport>(['cookie', 'bearer'])(
    'may refresh a hundred times at once: one generation, one token, and every answer is good (%s)',
    async (transport) => {
      const alice = await logIn(transport);
      for (let round = 0; round < 2; round++) {
        clock.advance(MINUTE);
        const before = await rotationOf(alice);
        const tabs = Array.from({ length: 100 }, () => holding(alice, tokenOf(alice)));
        const answers = await allAtOnce(tabs.map((tab) => () => tab.refresh()));
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
        expect(new Set(tabs.map(tokenOf)).size).toBe(1);
        const after = await rotationOf(alice);
        // The login's token has no predecessor; its first successors are the first step.
        expect(after.generation - before.generation).toBe(round === 0 ? 0 : 1);
        expect(after.newest).toMatchObject({ first: 1, last: 1 });
        for (const tab of tabs) await expectBothTiers(tab, { status: 200 });
        Object.assign(alice, { refreshToken: tabs[0]!.refreshToken, accessToken: tabs[0]!.accessToken });
        for (const [name, value] of tabs[0]!.jar) alice.jar.set(name, value);
      }
    },
  );
});

/** Blocks each request before its write, until all have decided on the same state. */
async function allAtOnce(requests: (() => Promise<Answer>)[]): Promise<Answer[]> {
  const gate = new Gate();
  const decided = instances.map((app) => {
    const hold = app.get(SessionRepository);
    const renew = hold.saveRotation.bind(hold);
    return jest.spyOn(hold, 'saveRotation').mockImplementation(async (...args) => {
      await gate.opened;
      return renew(...args);
    });
  });
  const answers: Promise<Answer>[] = [];
  for (const request of requests) {
    answers.push(request());
    if (answers.length % FEW === 0)
      await eventually(() => expect(sum(decided.map(({ mock }) => mock.calls.length))).toBe(answers.length));
  }
  gate.open();
  const all = await Promise.all(answers);
  jest.restoreAllMocks();
  return all;
}

describeWithRedis('a thief', () => {
  it('that copied the refresh token alone is caught at the first double use (R3), whichever client comes first', async () => {
    const play = async (transport: Transport, { past, wait, thiefFirst, between }: DoubleUse) => {
      const alice = await logIn(transport);
      let token = tokenOf(alice);
      for (const { wait, answerLost } of past) {
        clock.advance(wait);
        const answer = await refresh(alice, token);
        if (!answerLost) token = answer;
      }
      const [owner, thief] = [holding(alice, token), withoutDevice(holding(alice, token))];
      clock.advance(wait);
      await (thiefFirst ? thief : owner).refresh();
      clock.advance(between);
      expect(await (thiefFirst ? owner : thief).refresh()).toMatchObject(REUSE);
      for (const party of [owner, thief]) expect(await party.refresh()).toMatchObject(REUSE);
    };
    await fc.assert(fc.asyncProperty(transports, doubleUses(GRACE), play), trying(40));
  });

  it('that copied the whole jar loses access after two refreshes of the owner (R3), unless within grace of one', async () => {
    const play = async (transport: Transport, schedule: Theft) => {
      const alice = await logIn(transport);
      const theft = new CopiedJar(tokenOf(alice));
      let caught = false;
      for (const use of theft.play(schedule)) {
        clock.advance(use.wait);
        const party = holding(alice, use.request);
        const answer = await party.refresh();
        caught = answer.status !== 200;
        if (caught && answer.status !== 503) expect(answer).toMatchObject(REUSE);
        if (caught || theft.ownersRefreshes === 2) break;
        use.answer = tokenOf(party);
      }
      if (!caught && theft.ownersRefreshes !== 2) return;
      // Within five graces a replaced token is refused without ending the session.
      clock.advance(5 * GRACE + 1);
      for (const token of theft.loot) expect(await holding(alice, token).refresh()).toMatchObject(REUSE);
    };
    await fc.assert(fc.asyncProperty(transports, thefts(GRACE), play), trying(40));
  });

  it.each<[landings: number, survived: number]>([
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 4],
  ])(
    'that copied the whole jar and refreshes within grace of %d refreshes of the owner survives %d of them (R3)',
    async (landings, survived) => {
      const alice = await logIn('bearer');
      let [owner, thief] = [tokenOf(alice), tokenOf(alice)];
      for (let round = 0; round < survived; round++) {
        clock.advance(MINUTE);
        owner = await refresh(alice, owner);
        clock.advance(round < landings ? GRACE : GRACE + 1);
        thief = await refresh(alice, thief);
      }
      clock.advance(MINUTE);
      await refresh(alice, owner);
      expect(await holding(alice, thief).refresh()).toMatchObject(REUSE);
    },
  );

  it('that copied the whole jar and refreshes within grace of every second refresh of the owner is caught at once (R3)', async () => {
    const alice = await logIn('cookie');
    const stolen = tokenOf(alice);
    clock.advance(LONG_AFTER);
    const token = await refresh(alice, stolen);
    clock.advance(LONG_AFTER);
    await refresh(alice, token);
    expect(await holding(alice, stolen).refresh()).toMatchObject(REUSE);
  });
});
