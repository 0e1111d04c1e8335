import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
  type Tracer,
} from '@opentelemetry/api';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import '../api/always-answers.decorator.js';
import '../logging/security-event-log.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The span of the request, while traces are on. */
    traceContext?: Context;
  }
}

/**
 * A span for each request, named by the pattern of its route. It continues the trace of the header `traceparent`.
 *
 * No URL, header, address or user is in it: paths contain ids of sessions, and queries contain tokens. Probes, and
 * requests that become WebSockets, have no span.
 */
export function traceRequests(fastify: FastifyInstance, tracer: Tracer): void {
  fastify.decorateRequest('traceContext', undefined);
  fastify.addHook('onRequest', (request, reply, done) => {
    if (request.routeOptions.config.alwaysAnswers || request.headers.upgrade) return done();
    const parent = propagation.extract(ROOT_CONTEXT, request.headers);
    const span = startSpan(tracer, request, parent);
    reply.raw.once('close', () => endSpan(span, request, reply));
    request.traceContext = trace.setSpan(parent, span);
    context.with(request.traceContext, done);
  });
  fastify.addHook('preValidation', resume);
  fastify.addHook('onResponse', resume);
}

/** The body arrives, and the response ends, in events of the socket, which belong to no request. */
function resume({ traceContext }: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  if (traceContext) context.with(traceContext, done);
  else done();
}

function startSpan(tracer: Tracer, request: FastifyRequest, parent: Context): Span {
  const { method, protocol, id } = request;
  const route = request.routeOptions.url;
  const attributes = {
    'http.request.method': method,
    'http.route': route,
    'url.scheme': protocol,
    'request.id': String(id),
  };
  return tracer.startSpan(
    route ? `${method} ${route}` : method,
    { kind: SpanKind.SERVER, attributes },
    parent,
  );
}

/** As OpenTelemetry wants it of a server, only a 5xx is an error: the others are mistakes of the client. */
function endSpan(span: Span, { problem }: FastifyRequest, { statusCode }: FastifyReply): void {
  span.setAttribute('http.response.status_code', statusCode);
  if (problem) span.setAttribute('problem.code', problem.code);
  if (statusCode >= 500) {
    span.setAttribute('error.type', problem?.code ?? String(statusCode));
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}
