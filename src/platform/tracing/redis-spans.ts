import type { Span, Tracer } from '@opentelemetry/api';
import { tracingChannel } from 'node:diagnostics_channel';
import { failSpan, startStoreSpan } from './store-span.js';

/** A command, or a batch of commands, as the driver describes it. Its `args` contain keys, and are not read. */
interface Call {
  command?: string;
  batchMode?: string;
  batchSize?: number;
  serverAddress?: string;
  serverPort?: number;
  error?: unknown;
}

/**
 * A span for each command that a request sends to Redis, or for each batch. The driver publishes them on channels of
 * Node.js (`diagnostics_channel`), and without a subscriber it publishes nothing.
 *
 * @returns ends it
 */
export function traceRedisCalls(tracer: Tracer): () => void {
  const spans = new WeakMap<object, Span>();
  const begin = (call: Call) => {
    const name = call.command ?? call.batchMode ?? 'BATCH';
    const span = startStoreSpan(tracer, name, {
      'db.system.name': 'redis',
      'db.operation.name': name,
      'db.operation.batch.size': call.batchSize,
      'server.address': call.serverAddress,
      'server.port': call.serverPort,
    });
    if (span) spans.set(call, span);
  };
  const subscribers = {
    error: (call: Call) => {
      const span = spans.get(call);
      if (span) failSpan(span, call.error);
    },
    asyncEnd: (call: Call) => void spans.get(call)?.end(),
    end: () => undefined,
    asyncStart: () => undefined,
  };
  const stops = [
    // A command of a batch is published too, and the span of the batch covers it.
    subscribe('node-redis:command', {
      ...subscribers,
      start: (call) => void (call.batchMode ?? begin(call)),
    }),
    subscribe('node-redis:batch', { ...subscribers, start: begin }),
  ];
  return () => stops.forEach((stop) => stop());
}

type Subscribers = Record<'start' | 'end' | 'asyncStart' | 'asyncEnd' | 'error', (call: Call) => void>;

function subscribe(name: string, subscribers: Subscribers): () => void {
  const channel = tracingChannel<unknown, Call>(name);
  channel.subscribe(subscribers as never);
  return () => channel.unsubscribe(subscribers as never);
}
