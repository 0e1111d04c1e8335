import { Inject, Injectable } from '@nestjs/common';
import { milliseconds } from '../common/duration.js';
import { Problem } from '../common/problem.js';
import type { Origin } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { UsersService } from '../users/users.service.js';
import { networkOf } from './client-network.js';
import { digest } from './digest.js';
import type { GuessCounters } from './guess-counters.js';
import { RULES } from './guess-delay.js';
import { Limiters, type Window } from './limiters.js';
import { STRANGERS, type Limit } from './policies.js';
import { Refusals, type Refusal } from './refusals.js';

/** An attempt at a secret. */
export interface Guess {
  /** The kind of secret. Each kind has its own counter. */
  secret: 'password' | 'code' | 'passkey';
  /** The canonical e-mail address, whether or not it is registered. */
  account: string;
  /**
   * A device that has logged in to this account before, or the session of the request. Each has its own counter, so
   * that attempts by strangers cannot delay the owner (OWASP, "device cookies"). Null for strangers.
   */
  known: string | null;
  origin: Origin;
}

type Undo = () => Promise<void>;

/**
 * The attempt limiter: counts attempts at passwords and codes before the server evaluates them. So a refused client
 * does not learn whether its attempt was right. A successful attempt clears the failures before it. An attempt that
 * was not evaluated does not count.
 */
@Injectable()
export class Guesses {
  private readonly counters: GuessCounters;
  private readonly windows: Record<keyof typeof STRANGERS, Window>;

  constructor(
    limiters: Limiters,
    private readonly refusals: Refusals,
    private readonly users: UsersService,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {
    this.counters = limiters.guesses();
    this.windows = {
      address: limiters.window('guesses-address', STRANGERS.address),
      everyone: limiters.window('guesses-everyone', STRANGERS.everyone),
    };
  }

  /**
   * Evaluates an attempt. `look` must only evaluate it: when it throws, the attempt does not count.
   *
   * @returns the result of `look`, and the number of failures in a row before a successful attempt
   * @throws Problem `request.rate_limited` before the evaluation
   */
  async prove<T extends { proven: boolean }>(
    guess: Guess,
    look: () => Promise<T>,
  ): Promise<T & { failedBefore: number }> {
    if (this.settings.rateLimits === 'off') return { ...(await look()), failedBefore: 0 };
    const undo = await this.reserve(guess);
    const refundWindows = () => undo.windows.map((refund) => refund());
    let seen: T;
    try {
      seen = await look();
    } catch (error) {
      await Promise.all([undo.guess(), ...refundWindows()]);
      throw error;
    }
    if (!seen.proven) return { ...seen, failedBefore: 0 };
    const [counted] = await Promise.all([this.counters.forget(keyOf(guess)), ...refundWindows()]);
    return { ...seen, failedBefore: Math.max(0, counted - 1) };
  }

  /** Clears the attempts of strangers, after the secret was reset by other means. */
  async forget(account: string, secret: Guess['secret'] = 'password'): Promise<void> {
    await this.counters.forget(keyOf({ secret, account, known: null }));
  }

  private async reserve(guess: Guess): Promise<{ guess: Undo; windows: Undo[] }> {
    const key = keyOf(guess);
    const waitMs = await this.counters.count(key);
    const policy = guess.known === null ? 'guesses-account' : 'guesses-known';
    if (waitMs > 0)
      throw await this.refuse(guess, key, { policy, limit: RULES.free, windowMs: RULES.memory, waitMs });
    const undo = { guess: () => this.counters.takeBack(key), windows: [] as Undo[] };
    if (guess.known !== null) return undo;
    // The narrow limit comes first, so that a single client cannot use up the limit that everyone shares.
    for (const [name, windowKey] of [
      ['address', networkOf(guess.origin.ip)],
      ['everyone', 'all'],
    ] as const) {
      const window = this.windows[name];
      const wait = await window.consume(windowKey);
      if (wait > 0) {
        await Promise.all([undo.guess, ...undo.windows].map((refund) => refund()));
        throw await this.refuse(guess, windowKey, refusalOf(`guesses-${name}`, STRANGERS[name], wait));
      }
      undo.windows.push(() => window.refund(windowKey));
    }
    return undo;
  }

  private async refuse(guess: Guess, key: string, refusal: Refusal): Promise<Problem> {
    const { account, secret, origin } = guess;
    const { policy } = refusal;
    await this.refusals.record(`${policy}:${key}`, async () => ({
      type: key === keyOf(guess) ? 'authn_login_fail_max' : 'excess_rate_limit_exceeded',
      userId: (await this.users.findForLogin(account))?.id,
      origin,
      details: { policy, secret },
    }));
    return this.refusals.problem(refusal);
  }
}

/** All strangers share one counter per account. */
function keyOf({ secret, account, known }: Pick<Guess, 'secret' | 'account' | 'known'>): string {
  return known === null ? `${secret}:account:${digest(account)}` : `${secret}:known:${digest(known)}`;
}

function refusalOf(policy: string, { limit, per }: Limit, waitMs: number): Refusal {
  return { policy, limit, windowMs: milliseconds(per), waitMs };
}
