import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { CachePort } from '../../src/platform/cache/cache-port.js';
import { ADMIN, ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { TestClock } from '../../test/support/clock.js';
import { loggedIn } from '../../test/support/test-users.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { eventually } from '../../test/support/waiting.js';
import { PRODUCT } from '../../src/product.js';

/** Real: two instances, PostgreSQL, Redis. One instance runs on a machine with a wrong clock. */

class WrongClock extends TestClock {
  constructor(public skew: number) {
    super();
  }

  override now(): number {
    return super.now() + this.skew;
  }
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

describeWithRedis('an instance whose clock is wrong', () => {
  let right: TestApp;
  let wrong: TestApp;
  let clock: WrongClock;
  let lines: Record<string, unknown>[];

  async function start(skew: number): Promise<void> {
    lines = [];
    const stream = new Writable({
      write(chunk, _, done) {
        lines.push(JSON.parse(String(chunk)));
        done();
      },
    });
    await resetStores();
    right = await startApp();
    clock = new WrongClock(skew);
    wrong = await startApp({ clock, logger: pino({ level: 'info' }, stream) });
  }

  const ready = async () => (await wrong.client().get('/health/ready')) as { status: number; body: object };
  const complaints = () => lines.filter(({ msg }) => /clock/.test(String(msg)));

  afterEach(async () => {
    jest.restoreAllMocks();
    await Promise.all([right.close(), wrong.close()]);
  });

  describe.each([-20 * SECOND, 20 * SECOND, -5 * MINUTE, 5 * MINUTE])('by %i ms', (skew) => {
    beforeEach(() => start(skew));

    it('is not ready and reports so by health, metric and log', async () => {
      expect(await ready()).toMatchObject({
        status: 503,
        body: { status: 'failing', clock: 'failing', postgres: 'ok', revocationFeed: 'ok' },
      });
      const { text } = await wrong.client().get('/metrics');
      const [, offset] = new RegExp(`^${PRODUCT.metricPrefix}clock_offset_seconds (\\S+)$`, 'm').exec(text)!;
      expect(Math.abs(Number(offset) - skew / SECOND)).toBeLessThan(5);
      expect(complaints()).toHaveLength(1);
      expect(complaints()[0]).toMatchObject({ level: 50, msg: expect.stringContaining('PostgreSQL') });
    });

    it('accepts good tokens on both tiers, and issues tokens that are good elsewhere', async () => {
      const alice = await loggedIn(right, ALICE);
      alice.at(wrong);
      expect((await alice.get('/v1/probe/flags')).status).toBe(200);
      expect((await alice.get('/v1/sessions/current')).status).toBe(200);
      const bob = await loggedIn(wrong, BOB);
      expect((await bob.refresh()).status).toBe(200);
      for (const app of [wrong, right])
        for (const path of ['/v1/probe/flags', '/v1/sessions/current'])
          expect((await bob.at(app).get(path)).status).toBe(200);
    });

    it.each(['cookie', 'bearer'] as const)('ends the session at logout (%s)', async (transport) => {
      const alice = await loggedIn(right, ALICE, transport);
      expect((await alice.copy().at(wrong).post('/v1/auth/logout')).status).toBe(204);
      expect(await alice.get('/v1/sessions/current')).toMatchObject({
        status: 401,
        body: { reason: 'logout' },
      });
    });

    it('refuses a token after its `exp` (A4)', async () => {
      const alice = await loggedIn(right, ALICE);
      for (const { clock } of [right, wrong]) clock.advance(15 * MINUTE + SECOND);
      expect(await alice.at(wrong).get('/v1/probe/flags')).toMatchObject({
        status: 401,
        body: { code: 'auth.token_expired' },
      });
    });

    it('answers `pending` to a revocation whose tombstone could not be written', async () => {
      const [admin, alice] = [await loggedIn(right, ADMIN), await loggedIn(right, ALICE)];
      jest.spyOn(wrong.get(CachePort), 'setMany').mockRejectedValue(new Error('cut'));
      const receipt = await admin.at(wrong).delete(`/v1/admin/sessions/${alice.id}`);
      expect(receipt).toMatchObject({ status: 202, body: { status: 'pending' } });
      const { seq, sessionTierBy } = receipt.body;
      const [made] = await right.query<{ created_at: Date }>(
        'select created_at from revocations where seq = $1',
        [seq],
      );
      expect(Date.parse(sessionTierBy)).toBe(made!.created_at.getTime() + 30 * SECOND);
      // The tombstone is not written yet: it is delayed on the other instance, too.
      jest.spyOn(right.get(CachePort), 'setMany').mockRejectedValue(new Error('cut'));
      expect(await admin.get(`/v1/admin/revocations/${seq}`)).toMatchObject({ body: { status: 'pending' } });
      jest.restoreAllMocks();
      await eventually(async () => {
        const { body } = await admin.get(`/v1/admin/revocations/${seq}`);
        expect(body.status).toBe('applied');
        const early = Date.parse(body.sessionTierBy) - made!.created_at.getTime();
        expect(early).toBeGreaterThanOrEqual(0);
        expect(early).toBeLessThanOrEqual(30 * SECOND);
      });
    });

    it('ends a session at its time, neither earlier nor later', async () => {
      const admin = await loggedIn(right, ADMIN);
      for (const { clock } of [right, wrong]) clock.advance(59 * MINUTE);
      await admin.refresh();
      expect((await admin.at(wrong).get('/v1/sessions/current')).status).toBe(200);
      for (const { clock } of [right, wrong]) clock.advance(11 * 60 * MINUTE + MINUTE);
      expect(await admin.at(wrong).refresh()).toMatchObject({ status: 401 });
    });
  });

  it.each([-4 * SECOND, 4 * SECOND])(
    'by %i ms is ready, because this difference is tolerated',
    async (skew) => {
      await start(skew);
      expect(await ready()).toMatchObject({ status: 200, body: { clock: 'ok' } });
      const alice = await loggedIn(right, ALICE);
      expect((await alice.at(wrong).get('/v1/probe/flags')).status).toBe(200);
      const bob = await loggedIn(wrong, BOB);
      expect((await bob.at(right).get('/v1/probe/flags')).status).toBe(200);
      expect(complaints()).toEqual([]);
    },
  );

  it('is detected while it runs, and the instance is ready again when its clock is corrected', async () => {
    await start(0);
    const alice = await loggedIn(right, ALICE);
    clock.skew = -20 * SECOND;
    // Before the next comparison: the clock has been set back since the last one.
    expect((await alice.copy().at(wrong).get('/v1/probe/flags')).status).toBe(200);
    await eventually(async () =>
      expect(await ready()).toMatchObject({ status: 503, body: { clock: 'failing' } }),
    );
    expect((await alice.copy().at(wrong).get('/v1/probe/flags')).status).toBe(200);
    clock.skew = 0;
    await eventually(async () => expect(await ready()).toMatchObject({ status: 200, body: { clock: 'ok' } }));
    expect((await wrong.client().login(ALICE.email, PASSWORD)).status).toBe(200);
    expect(complaints().map(({ level }) => level)).toEqual([50, 30]);
  });
});
