import {
  context,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span,
  type Tracer,
} from '@opentelemetry/api';

/**
 * Begins the span of a call to a store, as a part of the span that is active.
 *
 * @returns undefined outside of a trace, as for background jobs, and in a trace that is not recorded
 */
export function startStoreSpan(tracer: Tracer, name: string, attributes: Attributes): Span | undefined {
  if (!isRecorded()) return undefined;
  return tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes });
}

/** Whether the active span is sent to the collector. */
export function isRecorded(): boolean {
  return trace.getSpan(context.active())?.isRecording() ?? false;
}

/** Messages of drivers may contain values, so a span has only the class of an error, and its SQLSTATE. */
export function failSpan(span: Span, error: unknown): void {
  const { name, code } = error as { name?: string; code?: unknown };
  span.setAttribute('error.type', typeof code === 'string' ? code : (name ?? 'Error'));
  span.setStatus({ code: SpanStatusCode.ERROR });
}
