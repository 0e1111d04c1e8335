import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { Module } from '@nestjs/common';
import { CheckTimings } from '#core';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { ALICE, ADMIN, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { machineOf } from '../../test/support/api-keys.js';
import type { Client } from '../../test/support/client.js';
import { SteadyClock } from '../../test/support/clock.js';
import { flushRedis } from '../../test/support/fault-hooks.js';
import { ProbeModule } from '../../test/support/probe-routes.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { StrictModule } from '../../test/support/strict-route.js';
import { loggedIn } from '../../test/support/test-users.js';
import { eventually } from '../../test/support/waiting.js';

/** Real: an instance over HTTP, PostgreSQL, Redis. */

@Module({})
class TimedModule {
  constructor(timings: CheckTimings) {
    timings.enable();
  }
}

const ACCESS = '/v1/probe/flags';
const SESSION = '/v1/sessions/current';
const CAUSE = { reason: 'admin', actorId: null, context: null } as const;

describeWithRedis('the header Server-Timing', () => {
  let app: TestApp;
  const clock = new SteadyClock();

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ clock, features: [ProbeModule, StrictModule, TimedModule] });
  });
  afterAll(() => app.close());

  /** The stores that answered, by tier. Each metric must have a duration. */
  const timingsOf = async (client: Client, path: string) => {
    const { status, headers } = await client.get(path);
    const metrics = String(headers['server-timing'] ?? '')
      .split(', ')
      .filter(Boolean)
      .map((metric) => /^(\w+);desc="(\w+)";dur=\d+\.\d\d$/.exec(metric)!.slice(1));
    return { status, ...Object.fromEntries(metrics) };
  };

  it('says that memory answered on the access tier', async () => {
    expect(await timingsOf(await loggedIn(app, ALICE), ACCESS)).toEqual({ status: 200, access: 'memory' });
  });

  it('says that PostgreSQL answered the first session check, and the cache a later one', async () => {
    const alice = await loggedIn(app, ALICE);
    const first = await timingsOf(alice, SESSION);
    expect(first).toEqual({ status: 200, access: 'memory', session: 'postgres' });
    await eventually(async () =>
      expect(await timingsOf(alice, SESSION)).toEqual({ ...first, session: 'cache' }),
    );
    await flushRedis();
    expect(await timingsOf(alice, SESSION)).toEqual(first);
  });

  it('says that PostgreSQL answered on the strict tier, also if the cache has the session', async () => {
    const alice = await loggedIn(app, ALICE);
    await eventually(async () => expect(await timingsOf(alice, SESSION)).toMatchObject({ session: 'cache' }));
    expect(await timingsOf(alice, '/v1/strict')).toMatchObject({ status: 200, session: 'postgres' });
  });

  it('says on a refusal which tier refused', async () => {
    const alice = await loggedIn(app, ALICE);
    await app.get(RevocationService).endSession(alice.id, CAUSE);
    for (const path of [ACCESS, SESSION])
      expect(await timingsOf(alice, path)).toEqual({ status: 401, access: 'memory' });
    const anonymous = app.client();
    expect(await timingsOf(anonymous, SESSION)).toEqual({ status: 401, access: 'memory' });
  });

  it('says nothing about the access tier of a blind instance, which may have asked a store', async () => {
    const alice = await loggedIn(app, ALICE);
    const other = await startApp({ clock, features: [ProbeModule, TimedModule] });
    try {
      const feed = other.get(RevocationSubscriber);
      jest.spyOn(feed as unknown as { poll(): Promise<void> }, 'poll').mockRejectedValue(new Error('cut'));
      await feed.catchUp().catch(() => undefined); // a poll that was running has ended
      clock.advanceSteadily(60_000);
      expect(feed.isBlind()).toBe(true);
      expect(await timingsOf(alice.copy().at(other), ACCESS)).toEqual({ status: 200 });
    } finally {
      await other.close();
    }
  });

  it('is absent for an API key', async () => {
    const machine = await machineOf(app, await loggedIn(app, ADMIN));
    expect(await timingsOf(machine, ACCESS)).toEqual({ status: 200 });
  });

  it('is absent unless a module turns it on', async () => {
    const plain = await startApp();
    try {
      const alice = (await loggedIn(app, ALICE)).at(plain);
      expect(await timingsOf(alice, ACCESS)).toEqual({ status: 200 });
      expect(await timingsOf(alice, SESSION)).toEqual({ status: 200 });
    } finally {
      await plain.close();
    }
  });
});
