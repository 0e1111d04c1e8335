import { VersioningType } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import helmet from 'helmet';
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AppModule } from './app.module.js';
import { createLogger, NestLogger, type Logger } from './common/logger.js';
import { Problem, PROBLEM_TYPE } from './common/problem.js';
import { ProblemFilter } from './common/problem.filter.js';
import { random } from './common/random.js';
import { validationPipe } from './common/validation.pipe.js';
import type { Replacements } from './config/config.module.js';
import type { Keys } from './config/key-format.js';
import type { Settings } from './config/settings.js';
import { databaseProblem } from './database/database-problem.js';
import { RouteTable } from './common/route-table.js';
import { serveDocs } from './docs.js';
import { PlacesService } from './places/places.service.js';

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
      standardHeaders(request, reply);
      problems.answer(error, request, reply);
    },
    clientErrorHandler: refuseUnreadable,
    skipMiddie: true,
  });
  const fastify = adapter.getInstance() as unknown as FastifyInstance;
  routes.follow(fastify);
  onlyJson(fastify);
  fastify.addHook('onRequest', (request, reply, done) => {
    standardHeaders(request, reply);
    done();
  });
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
  locateRequests(fastify, app.get(PlacesService));
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

/** What helmet says, asked once: the answers are the same for every request, also for those that no hook sees. */
function securityHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  const response = {
    setHeader: (name: string, value: string) => (headers[name.toLowerCase()] = value),
    removeHeader: () => undefined,
  } as unknown as ServerResponse;
  const ask = helmet({
    // What is said to pages and plug-ins of old says nothing for JSON.
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
    strictTransportSecurity: { maxAge: 63_072_000, includeSubDomains: true },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
  });
  ask({} as IncomingMessage, response, () => undefined);
  return headers;
}

const STANDARD_HEADERS = {
  ...securityHeaders(),
  // Answers here are somebody's own. A route that has something for everybody says so itself.
  'cache-control': 'no-store',
};

function standardHeaders(request: FastifyRequest, reply: FastifyReply): void {
  void reply.headers(STANDARD_HEADERS).header('x-request-id', request.id);
}

/** What is not HTTP gets an answer all the same, and the connection ends: where a request ends in it is anybody's guess. */
function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const problem = new Problem('request.invalid');
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : problem.status;
  const body = JSON.stringify({ ...problem.body(random.uuid()), status });
  const headers = {
    ...STANDARD_HEADERS,
    'content-type': PROBLEM_TYPE,
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end([`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', body].join('\r\n'));
}

/** Only whoever asks where a request comes from pays for the answer. */
function locateRequests(fastify: FastifyInstance, places: PlacesService): void {
  fastify.decorateRequest('place', {
    getter(this: FastifyRequest) {
      return places.locate(this);
    },
  });
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
