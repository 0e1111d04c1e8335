import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, type Metric } from 'prom-client';
import { AlignedClock } from '../platform/runtime/clock.js';
import { KeyStore } from '../platform/keys/key-store.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { DenialList } from '../sessions/revocation/denial-list.js';
import { RevocationSubscriber } from '../sessions/revocation/revocation-subscriber.js';
import { RevocationDispatcher } from '../sessions/revocation/revocation-dispatcher.js';
import { SessionCheck } from '../sessions/check/session-check.js';
import { SessionCache } from '../sessions/check/session-cache.js';
import { RateLimitResponder } from '../platform/throttling/rate-limit-responder.js';
import { RequestDurations } from './request-durations.js';

/** The core's own metrics. Counters that sessions maintain are read only when metrics are requested. */
@Injectable()
export class MetricsService implements OnModuleInit {
  private readonly requests = new RequestDurations();
  private ofProcess = false;

  constructor(
    private readonly host: HttpAdapterHost,
    private readonly metrics: Metrics,
    feed: RevocationSubscriber,
    denials: DenialList,
    relay: RevocationDispatcher,
    checks: SessionCheck,
    sessionCache: SessionCache,
    keys: KeyStore,
    refusals: RateLimitResponder,
    clock: AlignedClock,
  ) {
    metrics.registry.registerMetric(this.requests as unknown as Metric);
    this.gauge(
      'revocation_feed_blind',
      '1 while the denial list may be incomplete: see ACCESS_WHEN_BLIND.',
      () => Number(feed.isBlind()),
    );
    this.gauge(
      'revocation_feed_age_seconds',
      'Time since the denial list was last known to be current.',
      () => feed.age() / 1_000,
    );
    this.gauge(
      'denial_list_entries',
      'Tokens, sessions and users that the access tier refuses.',
      () => denials.size,
    );
    this.gauge(
      'revocations_pending',
      'Committed revocations that the cache has not acknowledged for 2 s.',
      () => relay.backlog,
    );
    this.gauge('cache_breaker_open', '1 while session checks bypass the cache and use PostgreSQL.', () =>
      Number(sessionCache.isCircuitOpen()),
    );
    this.gauge(
      'key_file_unusable',
      '1 while the key file cannot be used: the instance would not know the next signing key of other instances.',
      () => Number(keys.problem !== null),
    );
    this.gauge(
      'clock_offset_seconds',
      "How far this machine's clock is ahead of PostgreSQL's. Beyond 5 s, either way, the instance is not ready.",
      () => clock.offset / 1_000,
    );
    metrics.counter({
      name: 'session_checks_total',
      help: 'Session checks by the store that answered.',
      labelNames: ['answered_by'],
      collect() {
        this.reset();
        for (const [answered_by, count] of Object.entries(checks.answers)) this.inc({ answered_by }, count);
      },
    });
    metrics.counter({
      name: 'throttled_total',
      help: 'Requests that were rate limited (429), by policy and the key it counts by.',
      labelNames: ['policy'],
      collect() {
        this.reset();
        for (const [policy, count] of refusals.counts) this.inc({ policy }, count);
      },
    });
  }

  onModuleInit(): void {
    const fastify = this.host.httpAdapter.getInstance<FastifyInstance>();
    fastify.addHook('onResponse', (request, reply, done) => {
      const route = request.routeOptions.url ?? 'none';
      this.requests.observe(request.method, route, reply.statusCode, reply.elapsedTime / 1_000);
      done();
    });
  }

  /** The Prometheus text format. */
  read(): Promise<string> {
    const { registry } = this.metrics;
    if (!this.ofProcess) {
      this.ofProcess = true;
      collectDefaultMetrics({ register: registry });
      registry.removeSingleMetric('nodejs_version_info'); // hides the version, so that an attacker cannot look up its vulnerabilities (ASVS 13.4.6)
    }
    return registry.metrics();
  }

  get contentType(): string {
    return this.metrics.registry.contentType;
  }

  private gauge(name: string, help: string, value: () => number): void {
    this.metrics.gauge({
      name,
      help,
      collect() {
        this.set(value());
      },
    });
  }
}
