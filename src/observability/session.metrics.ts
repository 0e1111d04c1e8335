import { Injectable } from '@nestjs/common';
import { Metrics } from '../platform/metrics/metrics.js';
import { DurationSeries } from '../platform/metrics/duration-histogram.js';
import { AlignedClock } from '../platform/runtime/clock.js';
import { SessionCache } from '../sessions/check/session-cache.js';
import { SessionCheck } from '../sessions/check/session-check.js';
import { RefreshService } from '../sessions/refresh/refresh.service.js';
import { DenialList } from '../sessions/revocation/denial-list.js';
import { RevocationDispatcher } from '../sessions/revocation/revocation-dispatcher.js';
import { RevocationSubscriber } from '../sessions/revocation/revocation-subscriber.js';

/** Seconds. A notification takes milliseconds; without it, the next poll comes within a second; blindness begins at 5 s. */
const DELAY_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30];

/** The metrics of sessions: checks, refreshes, revocations. */
@Injectable()
export class SessionMetrics {
  constructor(
    private readonly metrics: Metrics,
    private readonly feed: RevocationSubscriber,
    private readonly denials: DenialList,
    private readonly clock: AlignedClock,
    relay: RevocationDispatcher,
    checks: SessionCheck,
    sessionCache: SessionCache,
    refreshes: RefreshService,
  ) {
    this.measureFeed();
    metrics.value(
      'revocations_pending',
      'Committed revocations that the cache has not acknowledged for 2 s.',
      () => relay.backlog,
    );
    metrics.value('cache_breaker_open', '1 while session checks bypass the cache and use PostgreSQL.', () =>
      Number(sessionCache.isCircuitOpen()),
    );
    metrics.counts('session_checks_total', 'Session checks by the store that answered.', 'answered_by', () =>
      Object.entries(checks.answers),
    );
    const reads = metrics.durations(
      'session_check_read_duration_seconds',
      'Duration of the reads of session checks, by store. The checks of one moment share a read of the cache.',
      ['store'],
    );
    for (const store of ['cache', 'postgres'] as const) reads.add({ store }, checks.durations[store]);
    metrics.counts(
      'session_refreshes_total',
      'Refreshes of sessions by their result: see docs/reference/metrics.md.',
      'result',
      () => Object.entries(refreshes.results),
    );
  }

  private measureFeed(): void {
    const { metrics, feed, denials, clock } = this;
    metrics.value(
      'revocation_feed_blind',
      '1 while the denial list may be incomplete: see ACCESS_WHEN_BLIND.',
      () => Number(feed.isBlind()),
    );
    metrics.value(
      'revocation_feed_age_seconds',
      'Time since the denial list was last known to be current.',
      () => feed.age() / 1_000,
    );
    metrics.value(
      'denial_list_entries',
      'Tokens, sessions and users that the access tier refuses.',
      () => denials.size,
    );
    const delays = metrics
      .durations(
        'revocation_delay_seconds',
        'Time from a revocation to its entry in the denial list of this instance.',
        [],
      )
      .add({}, new DurationSeries(DELAY_BOUNDS));
    denials.onNotice(({ createdAt }, isNews) => {
      // The first poll reads revocations of the time before this instance.
      if (isNews && feed.age() < Infinity)
        delays.observe(Math.max(0, clock.now() - clock.fromDatabase(new Date(createdAt))) / 1_000);
    });
  }
}
