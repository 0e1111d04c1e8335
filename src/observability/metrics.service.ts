import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, type Metric } from 'prom-client';
import { auditEventTypes } from '../platform/audit/audit-event-types.js';
import { AuditService } from '../platform/audit/audit.service.js';
import { KeyStore, stagesOf } from '../platform/keys/key-store.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { RequestOutcomes } from '../platform/metrics/request-outcomes.js';
import { AlignedClock } from '../platform/runtime/clock.js';
import { SERVICE } from '../platform/runtime/version.js';
import { Settings } from '../platform/settings/settings.js';
import { RateLimitResponder } from '../platform/throttling/rate-limit-responder.js';
import { RequestDurations } from './request-durations.js';

/**
 * Of prom-client's metrics, these are left out: the first reveals a version, so that an attacker could look up its
 * vulnerabilities (ASVS 13.4.6); the others are gauges with the name of a counter.
 */
const LEFT_OUT = [
  'nodejs_version_info',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** The core's own metrics. Counters that other services maintain are read only when metrics are requested. */
@Injectable()
export class MetricsService implements OnModuleInit {
  private readonly requests = new RequestDurations();
  private ofProcess = false;

  constructor(
    private readonly host: HttpAdapterHost,
    private readonly metrics: Metrics,
    private readonly outcomes: RequestOutcomes,
    private readonly keys: KeyStore,
    private readonly clock: AlignedClock,
    audit: AuditService,
    refusals: RateLimitResponder,
    settings: Settings,
  ) {
    metrics.registry.registerMetric(this.requests as unknown as Metric);
    // Without METRICS_TOKEN anyone on the machine may read it.
    if (settings.metricsToken)
      metrics.values('build_info', '1, with the version of the application.', 'version', () => [
        [SERVICE.version, 1],
      ]);
    metrics.value(
      'clock_offset_seconds',
      "How far this machine's clock is ahead of PostgreSQL's. Beyond 5 s, either way, the instance is not ready.",
      () => clock.offset / 1_000,
    );
    metrics.counts(
      'throttled_total',
      'Requests that were rate limited (429), by policy and the key it counts by.',
      'policy',
      () => refusals.counts,
    );
    metrics.counts('logins_total', 'Logins that began a session.', null, () => [['', outcomes.logins]]);
    metrics.counts('problems_total', 'Answers with a problem, by its code.', 'code', () => outcomes.problems);
    metrics.counts(
      'audit_events_total',
      'Audit events that this instance wrote, by type. It also counts those of transactions that were rolled back.',
      'type',
      // With 0 for types that have not occurred, so that `increase()` sees the first one.
      () => auditEventTypes().map((type) => [type, audit.counts.get(type) ?? 0]),
    );
    this.measureKeys();
  }

  onModuleInit(): void {
    const fastify = this.host.httpAdapter.getInstance<FastifyInstance>();
    fastify.addHook('onResponse', (request, reply, done) => {
      const route = request.routeOptions.url ?? 'none';
      this.outcomes.observe(request);
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
      for (const name of LEFT_OUT) registry.removeSingleMetric(name);
    }
    return registry.metrics();
  }

  get contentType(): string {
    return this.metrics.registry.contentType;
  }

  private measureKeys(): void {
    const { keys, clock } = this;
    this.metrics.value(
      'key_file_unusable',
      '1 while the key file cannot be used: the instance would not know the next signing key of other instances.',
      () => Number(keys.problem !== null),
    );
    this.metrics.values(
      'key_start_timestamp_seconds',
      'When the current key of each kind started. A key that was never rotated has no start, and no sample.',
      'kind',
      () =>
        stagesOf(keys.current, clock.now()).flatMap(({ kind, stage, term }): [string, number][] =>
          stage === 'current' && term.startsAt !== undefined ? [[kind, term.startsAt / 1_000]] : [],
        ),
    );
  }
}
