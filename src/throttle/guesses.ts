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

export interface Guess {
  /** Which secret is guessed at; each is counted by itself. */
  secret: 'password' | 'code' | 'passkey';
  /** The canonical e-mail address, whether or not somebody has it. */
  account: string;
  /**
   * A device that has logged in to this very account before, or the session that asks: they are counted by themselves, so that
   * strangers who guess cannot make the owner wait (OWASP, "device cookies"). Null for strangers.
   */
  known: string | null;
  origin: Origin;
}

type Undo = () => Promise<void>;

/**
 * Counts guesses at passwords and codes, before they are looked at: whoever is refused has not learned whether it was right.
 * A right one forgets the wrong ones before it; one that was never looked at does not count.
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
   * Looks whether it is right. Only the looking belongs in here: when it throws, the guess counts as never made.
   * @returns what was seen, and how many wrong ones in a row were before a right one
   * @throws Problem `request.rate_limited` without having looked
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

  /** After a reset of the secret by other means: what strangers have guessed is over. */
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
    // The narrow one first: a single client must not use up what everyone shares.
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

/** Strangers share one bucket per account. */
function keyOf({ secret, account, known }: Pick<Guess, 'secret' | 'account' | 'known'>): string {
  return known === null ? `${secret}:account:${digest(account)}` : `${secret}:known:${digest(known)}`;
}

function refusalOf(policy: string, { limit, per }: Limit, waitMs: number): Refusal {
  return { policy, limit, windowMs: milliseconds(per), waitMs };
}
