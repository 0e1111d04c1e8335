import helmet from '@fastify/helmet';
import { randomUUID } from 'node:crypto';
import { collectDefaultMetrics, Histogram, register } from 'prom-client';

/** For `Fastify()`: ids that can be told apart from those of other instances. */
export const REQUEST_IDS = { genReqId: () => randomUUID() };

/** What every answer of ours has besides what was asked: security headers, the request's id, a duration that was counted. */
export async function dress(app) {
  await app.register(helmet, { contentSecurityPolicy: { directives: { defaultSrc: ["'none'"] } } });
  collectDefaultMetrics();
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'by route and status',
    labelNames: ['method', 'route', 'status'],
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('cache-control', 'no-store');
  });
  app.addHook('onResponse', async ({ method, routeOptions }, reply) => {
    durations.labels(method, routeOptions.url, reply.statusCode).observe(reply.elapsedTime / 1_000);
  });
  app.get('/metrics', async () => register.metrics());
}
