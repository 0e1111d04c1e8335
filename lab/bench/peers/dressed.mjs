import fastifyHelmet from '@fastify/helmet';
import helmet from 'helmet';
import { randomUUID } from 'node:crypto';
import { collectDefaultMetrics, Histogram, register } from 'prom-client';

const POLICY = { contentSecurityPolicy: { directives: { defaultSrc: ["'none'"] } } };

/** For `Fastify()`: ids that differ from those of other instances. */
export const REQUEST_IDS = { genReqId: () => randomUUID() };

/** The additions of every answer of ours: security headers, the request's id, a measured duration. */
export async function dress(app) {
  await app.register(fastifyHelmet, POLICY);
  const durations = histogram();
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('cache-control', 'no-store');
  });
  app.addHook('onResponse', async ({ method, routeOptions }, reply) => {
    durations.labels(method, routeOptions.url, reply.statusCode).observe(reply.elapsedTime / 1_000);
  });
  app.get('/metrics', async () => register.metrics());
}

/** The same for Express. */
export function dressExpress(app) {
  app.disable('x-powered-by');
  app.use(helmet(POLICY));
  const durations = histogram();
  app.use((request, response, next) => {
    const startedAt = performance.now();
    response.set({ 'x-request-id': randomUUID(), 'cache-control': 'no-store' });
    response.once('finish', () => {
      durations
        .labels(request.method, request.route?.path, response.statusCode)
        .observe((performance.now() - startedAt) / 1_000);
    });
    next();
  });
  app.get('/metrics', async (_request, response) => response.send(await register.metrics()));
}

function histogram() {
  collectDefaultMetrics();
  return new Histogram({
    name: 'http_request_duration_seconds',
    help: 'by route and status',
    labelNames: ['method', 'route', 'status'],
  });
}
