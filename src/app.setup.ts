import helmet from '@fastify/helmet';
import { VersioningType } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppModule } from './app.module.js';
import { createLogger, NestLogger, type Logger } from './common/logger.js';
import { ProblemFilter } from './common/problem.filter.js';
import { random } from './common/random.js';
import { validationPipe } from './common/validation.pipe.js';
import type { Replacements } from './config/config.module.js';
import type { Keys } from './config/key-file.js';
import type { Settings } from './config/settings.js';
import { databaseProblem } from './database/database-problem.js';
import { RouteTable } from './common/route-table.js';
import { serveDocs } from './docs.js';

/** Every body here is small; what is larger is refused before it is parsed (ASVS 15.2.2). */
const BODY_LIMIT_BYTES = 10_240;
/** A client that takes longer to send its request is not one to wait for. */
const REQUEST_TIMEOUT_MS = 30_000;

/** The application as it is served and as it is tested: everything but listening. */
export async function createApp(
  settings: Settings,
  keys: Keys,
  replacements: Replacements = {},
): Promise<NestFastifyApplication> {
  const logger =
    replacements.logger ??
    createLogger(settings.logLevel, settings.nodeEnv === 'development' && process.stdout.isTTY);
  const routes = new RouteTable();
  const problems = new ProblemFilter(logger, [databaseProblem], (url) => routes.methodsOf(url));
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    trustProxy: settings.trustedProxies.length > 0 ? settings.trustedProxies : false,
    genReqId: () => random.uuid(),
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      standardHeaders(request, reply.headers(HEADERS_WITHOUT_HOOKS));
      problems.answer(error, request, reply);
    },
    skipMiddie: true,
  });
  const fastify = adapter.getInstance() as unknown as FastifyInstance;
  routes.follow(fastify);
  onlyJson(fastify);
  await fastify.register(helmet, HELMET);
  fastify.addHook('onRequest', async (request, reply) => standardHeaders(request, reply));
  logRequests(fastify, logger);

  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.forRoot(settings, keys, { ...replacements, logger }),
    adapter,
    {
      logger: new NestLogger(logger),
      bodyParser: false,
      abortOnError: false,
    },
  );
  app.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
  app.useGlobalPipes(validationPipe());
  app.useGlobalFilters(problems);
  if (settings.apiDocs) serveDocs(app, fastify);
  try {
    await app.init();
  } catch (error) {
    await app.close().catch(() => undefined);
    throw error;
  }
  return app;
}

const HELMET = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
  },
  strictTransportSecurity: { maxAge: 63_072_000, includeSubDomains: true },
  referrerPolicy: { policy: 'no-referrer' },
  xFrameOptions: { action: 'deny' },
} as const;

/** What helmet says with these settings, for the answers that come before any hook: to an address that cannot be read. */
const HEADERS_WITHOUT_HOOKS = {
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
} as const;

function standardHeaders(request: FastifyRequest, reply: FastifyReply): void {
  void reply.header('x-request-id', request.id);
  // Answers here are somebody's own. A route that has something for everybody says so itself.
  void reply.header('cache-control', 'no-store');
}

/** JSON and nothing else: forms are what other sites can make a browser send (OWASP CSRF cheat sheet). */
function onlyJson(fastify: FastifyInstance): void {
  const parse = fastify.getDefaultJsonParser('error', 'error');
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else void parse(request, body as string, done);
  });
}

/** The route's pattern, not its URL: no identifier and no query reaches the log. */
function logRequests(fastify: FastifyInstance, logger: Logger): void {
  fastify.addHook('onResponse', (request, reply, done) => {
    logger.info(
      {
        requestId: request.id,
        method: request.method,
        route: request.routeOptions.url ?? null,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
      },
      'request',
    );
    done();
  });
}
