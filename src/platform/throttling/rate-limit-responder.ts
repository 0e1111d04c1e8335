import { Inject, Injectable } from '@nestjs/common';
import type { LRUCache } from 'lru-cache';
import { DataSource } from 'typeorm';
import { AuditService, type AuditEntry } from '../audit/audit.service.js';
import { boundedMap } from '../performance/bounded-map.js';
import { Clock } from '../runtime/clock.js';
import { LOGGER, type Logger } from '../logging/logger.js';
import { Problem } from '../api/problem.js';
import { MemoryCounts } from './memory-limiter.js';

/** Repeated refusals of one counter are one audit event in this time. */
const QUIET_MS = 600_000;
/** The limit of audit events of all counters on one instance. A flood of requests must not fill the audit log. */
const MAX_EVENTS_PER_MINUTE = 30;

/** A refused request. Times are in milliseconds. */
export interface RateLimitRefusal {
  /** The name in metrics and headers: the policy and its dimension. */
  policy: string;
  limit: number;
  windowMs: number;
  waitMs: number;
}

/** Rate limit responses: builds the problem, counts the refusals, and records audit events. */
@Injectable()
export class RateLimitResponder {
  /** How often each policy has refused a request. */
  readonly counts = new Map<string, number>();
  private readonly quiet: LRUCache<string, true>;
  private readonly events: MemoryCounts;

  constructor(
    private readonly database: DataSource,
    private readonly audit: AuditService,
    clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    const perf = { now: () => clock.now() };
    this.quiet = boundedMap<true>(10_000, { ttl: QUIET_MS, ttlResolution: 0, perf });
    this.events = new MemoryCounts(clock);
  }

  /** The problem `request.rate_limited`, with its headers. Counts the refusal. */
  problem(refusal: RateLimitRefusal): Problem {
    this.counts.set(refusal.policy, (this.counts.get(refusal.policy) ?? 0) + 1);
    return new Problem('request.rate_limited', { headers: headersOf(refusal) });
  }

  /**
   * Records one audit event per counter and {@link QUIET_MS}. If it cannot be recorded, the request is refused all
   * the same.
   */
  async record(bucket: string, entryOf: () => Promise<AuditEntry>): Promise<void> {
    if (this.quiet.has(bucket)) return;
    this.quiet.set(bucket, true);
    const [events] = this.events.add('events', 1, 60_000);
    if (events > MAX_EVENTS_PER_MINUTE) return;
    try {
      await this.audit.record(this.database.manager, await entryOf());
    } catch (error) {
      this.quiet.delete(bucket);
      this.logger.warn({ err: error }, 'a rate limit event could not be recorded');
    }
  }
}

/** `Retry-After` in seconds (RFC 9110 10.2.3), and the fields of draft-ietf-httpapi-ratelimit-headers-10. */
function headersOf({ policy, limit, windowMs, waitMs }: RateLimitRefusal): Record<string, string> {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
  return {
    'retry-after': String(seconds),
    'ratelimit-policy': policyField(policy, limit, windowMs),
    ratelimit: `"${policy}";r=0;t=${seconds}`,
  };
}

/**
 * The value of the `RateLimit-Policy` header.
 *
 * @param windowMs milliseconds; the header has seconds
 */
export function policyField(policy: string, limit: number, windowMs: number): string {
  return `"${policy}";q=${limit};w=${Math.ceil(windowMs / 1_000)}`;
}
