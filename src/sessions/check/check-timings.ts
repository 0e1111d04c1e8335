import { Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Clock } from '../../platform/runtime/clock.js';

/** Which store has answered a check. The check sets `postgres` before it asks PostgreSQL. */
export interface CheckTrace {
  answeredBy: 'memory' | 'cache' | 'postgres';
}

/** The tier of a check: the name of its metric. */
type Tier = 'access' | 'session';

/** The trace of all checks without timings. They share it, and no code reads it. */
export const UNTRACED: CheckTrace = { answeredBy: 'cache' };

/**
 * Tells the client how long each tier took and which store answered, in the header `Server-Timing` (W3C Server Timing):
 * `access;desc="memory";dur=0.1, session;desc="cache";dur=0.6`, in milliseconds. It is for pages that demonstrate the tiers.
 *
 * It is off until {@link enable}, because an attacker could learn from it which sessions are in the cache. While it is
 * off, a request pays one boolean for each tier.
 */
@Injectable()
export class CheckTimings {
  private enabled = false;

  constructor(private readonly clock: Clock) {}

  get isEnabled(): boolean {
    return this.enabled;
  }

  /** Call it at boot. */
  enable(): void {
    this.enabled = true;
  }

  /** Runs a check and adds its metric to the response, also if the check refuses the request. */
  async measure(
    reply: FastifyReply,
    tier: Tier,
    check: (trace: CheckTrace) => boolean | Promise<boolean>,
  ): Promise<boolean> {
    const trace: CheckTrace = { answeredBy: tier === 'access' ? 'memory' : 'cache' };
    const startedAt = this.clock.monotonic();
    try {
      return await check(trace);
    } finally {
      const duration = (this.clock.monotonic() - startedAt).toFixed(2);
      const before = reply.getHeader('server-timing');
      const metric = `${tier};desc="${trace.answeredBy}";dur=${duration}`;
      void reply.header('server-timing', before === undefined ? metric : `${String(before)}, ${metric}`);
    }
  }
}
