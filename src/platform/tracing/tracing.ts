import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { FastifyInstance } from 'fastify';
import type { Logger } from '../logging/logger.js';
import { SERVICE } from '../runtime/version.js';
import { withTimeout } from '../runtime/with-timeout.js';
import type { Settings } from '../settings/settings.js';
import { traceRequests } from './http-spans.js';
import { traceStatements } from './postgres-spans.js';
import { traceRedisCalls } from './redis-spans.js';

/** A collector that does not answer delays the end of the process by this at most. */
const FLUSH_TIMEOUT_MS = 2_000;

/**
 * Sends OpenTelemetry traces to a collector: a span for each request, with its statements in PostgreSQL and its calls
 * to Redis. `createApp` imports this module only if `OTEL_EXPORTER_OTLP_ENDPOINT` is set, so an instance without traces
 * does not load OpenTelemetry.
 *
 * The spans are made here and not by the instrumentation packages of OpenTelemetry: those replace modules while they
 * are loaded, and the bundle has no modules left to replace. It registers the global API, so a feature can add spans
 * with `trace.getTracer('billing').startActiveSpan(…)` of `@opentelemetry/api`.
 */
export class Tracing {
  private readonly provider: TracerProvider;
  private readonly stopSpans: (() => void)[];

  constructor(settings: Settings) {
    const { service, version } = SERVICE;
    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have precedence.
    const defaults = resourceFromAttributes({ 'service.name': service, 'service.version': version });
    const endpoint = settings.otelExporterOtlpEndpoint!.replace(/\/$/, '');
    this.provider = new TracerProvider({
      resource: defaults.merge(detectResources({ detectors: [envDetector] })),
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(settings.otelTracesSamplerArg) }),
      spanProcessors: [
        new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }) }),
      ],
    });
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    trace.setGlobalTracerProvider(this.provider);
    const tracer = this.provider.getTracer(service, version);
    this.stopSpans = [traceStatements(tracer), traceRedisCalls(tracer)];
  }

  /** The fields of a log line that is written during a request. They are named as OpenTelemetry names them in JSON. */
  readonly logFields = (): object => {
    const current = trace.getSpanContext(context.active());
    return current ? { trace_id: current.traceId, span_id: current.spanId } : NO_FIELDS;
  };

  /** Traces the requests of a server, and stops with it. Call it before the server has other hooks. */
  follow(fastify: FastifyInstance, logger: Logger): void {
    let isFailing = false;
    setGlobalErrorHandler((err) => {
      const error = err instanceof Error ? err : new Error(typeof err === 'string' ? err : 'unknown');
      // A collector that is away causes an error for each batch.
      logger[isFailing ? 'debug' : 'warn']({ err: error }, 'traces could not be sent');
      isFailing = true;
    });
    traceRequests(fastify, this.provider.getTracer(SERVICE.service, SERVICE.version));
    fastify.addHook('onClose', () => this.stop());
  }

  /** Sends what is left. Later spans are dropped. */
  async stop(): Promise<void> {
    for (const stop of this.stopSpans) stop();
    await withTimeout(FLUSH_TIMEOUT_MS, this.provider.shutdown()).catch(() => undefined);
    for (const api of [trace, context, propagation]) api.disable();
  }
}

const NO_FIELDS = {};
