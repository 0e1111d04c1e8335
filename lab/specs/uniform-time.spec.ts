import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { PasswordsService } from '../../src/auth/passwords/passwords.service.js';
import { resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { createUser } from '../../test/support/test-users.js';
import { compare, isUnlikely, toldApart, type Comparison } from '../../test/support/statistics.js';

const SAMPLES = 300;
const WARM_UP = 20;
/** The limit for the ratio of the medians. A skipped hash or a mail before the answer would exceed it by far. */
const MOST_GAP = 0.1;

const BODIES = {
  '/v1/auth/login': (email: string) => ({ email, password: 'this is not the password' }),
  '/v1/auth/register': (email: string) => ({ email, password: 'nine owls under a bridge' }),
  '/v1/auth/password/forgot': (email: string) => ({ email }),
};
type Path = keyof typeof BODIES;

/**
 * Compares two distributions with each other, without a fixed limit: requests alternate, so that load slows both
 * down. Real: PostgreSQL, the cache, the hasher, the workers that send mails.
 */
describe('the response time does not reveal whether an account exists: [AUT-02, AUT-09, RST-01]', () => {
  let app: TestApp;
  let nobodies = 0;

  beforeAll(async () => {
    await resetStores();
    app = await startApp();
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });
  afterAll(() => app.close());

  /** Each address is used once, so that no cache favours either. */
  const registered = async () => (await createUser(app)).email;
  const unregistered = () =>
    `00000000-0000-4000-8000-${String((nobodies += 1)).padStart(12, '0')}@newcomers.example`;

  async function round(path: Path, samples = SAMPLES): Promise<Comparison> {
    const [known, unknown]: [number[], number[]] = [[], []];
    const time = async (email: string) => {
      const begin = performance.now();
      await app.client().post(path, BODIES[path](email));
      return performance.now() - begin;
    };
    for (let turn = 0; turn < samples + WARM_UP; turn += 1) {
      const turns: [number[], string][] = [
        [known, await registered()],
        [unknown, unregistered()],
      ];
      if (turn % 2) turns.reverse();
      for (const [times, email] of turns) {
        const took = await time(email);
        if (turn >= WARM_UP) times.push(took);
      }
    }
    return compare(known, unknown);
  }

  /** Three rounds in a row, by chance alone: once in a million runs. */
  const tells = (comparison: Comparison) => isUnlikely(comparison) || Math.abs(comparison.gap) > MOST_GAP;

  it.each(Object.keys(BODIES) as Path[])('%s', async (path) => {
    const { always, rounds } = await toldApart(() => round(path), tells);
    expect({ rounds, always }).toEqual({ rounds, always: false });
  });

  it('a skipped hash for an unknown address would be detected by this test', async () => {
    const { verify } = PasswordsService.prototype;
    jest.spyOn(PasswordsService.prototype, 'verify').mockImplementation(function (
      this: PasswordsService,
      password,
      hash,
    ) {
      return hash ? verify.call(this, password, hash) : Promise.resolve(false);
    });
    const { always } = await toldApart(() => round('/v1/auth/login', 40), tells);
    expect(always).toBe(true);
  });
});
