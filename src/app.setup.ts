import { VersioningType } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { AppModule } from './app.module.js';
import { readAddress } from './platform/http/ip-address.js';
import { createLogger, NestLogger, type Logger } from './platform/logging/logger.js';
import { Problem } from './platform/api/problem.js';
import { ProblemFilter } from './platform/api/problem.filter.js';
import { requireFaultless } from './platform/runtime/registry.js';
import { requireMailLabels } from './platform/mail/content/translate-mail.js';
import { securityEventOf } from './platform/logging/security-event-log.js';
import { TrustedProxies } from './platform/http/trusted-proxies.js';
import { validationPipe } from './platform/api/validation.pipe.js';
import type { Replacements } from './platform/settings/settings.module.js';
import type { Keys } from './platform/keys/key-format.js';
import type { Settings } from './platform/settings/settings.js';
import { databaseProblem } from './platform/persistence/database-problem.js';
import { RouteTable } from './platform/api/route-table.js';
import { serveOpenApi } from './openapi.js';
import { GeoLocator } from './platform/geolocation/geo-locator.js';
import { checkInterval, Connections } from './platform/http/connections.js';
import { onlyOwnHosts } from './platform/http/own-hosts.js';
import { refuseBadHeaders, refuseTunnel, refuseUnreadable } from './platform/http/malformed-requests.js';
import { requestIdOf } from './platform/http/request-id.js';
import { Shutdown } from './platform/http/shutdown.js';
import { standardHeaders } from './platform/http/standard-headers.js';

/** How long a browser caches the result of a preflight, in seconds. */
const PREFLIGHT_MAX_AGE_S = 600;
/** Every body of this API is small. A larger one is refused before it is parsed (ASVS 15.2.2). */
const BODY_LIMIT_BYTES = 10_240;
/** Node's own default, stated explicitly: a token in a cookie needs less than a tenth of it. */
const HEADER_LIMIT_BYTES = 16_384;

/** A report of a secret scanner names many findings at once. */
const RAW_BODY_LIMIT_BYTES = 524_288;

/** A proxy may send such a request to another instance when the first one has refused it (RFC 9110 9.2.1). */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

declare module 'fastify' {
  interface FastifyContextConfig {
    /** For a route that verifies a signature of its body. Such a body may be larger. */
    keepsRawBody?: boolean;
  }
  interface FastifyRequest {
    rawBody?: string;
  }
}

/** Creates the complete application, for serving and for tests. Only listening is left to the caller. */
export async function createApp(
  settings: Settings,
  keys: Keys,
  replacements: Replacements = {},
): Promise<NestFastifyApplication> {
  requireFaultless();
  requireMailLabels(settings.mailLocale);
  const tracing = settings.otelExporterOtlpEndpoint ? await traced(settings) : null;
  const logger =
    replacements.logger ??
    createLogger(
      settings.logLevel,
      settings.nodeEnv === 'development' && process.stdout.isTTY,
      tracing?.logFields,
    );
  const routes = new RouteTable();
  const problems = new ProblemFilter(logger, [databaseProblem], (url) => routes.methodsOf(url));
  const proxies = new TrustedProxies(settings.trustedProxies);
  const idProxies = settings.requestIdFromProxy ? proxies : null;
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: settings.requestTimeout,
    http: {
      maxHeaderSize: HEADER_LIMIT_BYTES,
      // `refuseBadHeaders` does it.
      requireHostHeader: false,
      headersTimeout: Math.floor(settings.requestTimeout / 3),
      connectionsCheckingInterval: checkInterval(settings),
    },
    trustProxy: (address: string) => proxies.includes(readAddress(address)),
    genReqId: (request: IncomingMessage) => requestIdOf(request, idProxies),
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      standardHeaders(request, reply);
      problems.answer(error, request, reply);
    },
    clientErrorHandler: refuseUnreadable,
    // `shutDownWithAnswers` does it.
    return503OnClosing: false,
    skipMiddie: true,
  });
  const fastify = adapter.getInstance() as unknown as FastifyInstance;
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.forRoot(settings, keys, { ...replacements, logger }),
    adapter,
    {
      logger: new NestLogger(logger),
      bodyParser: false,
      abortOnError: false,
    },
  );
  routes.follow(fastify);
  tracing?.follow(fastify, logger);
  fastify.decorateRequest('user', undefined);
  fastify.decorateRequest('session', undefined);
  fastify.decorateRequest('delegate', undefined);
  fastify.decorateRequest('callerLimit', undefined);
  fastify.addHook('onRequest', (request, reply, done) => {
    standardHeaders(request, reply);
    done();
  });
  shutDownWithAnswers(fastify, app.get(Shutdown));
  fastify.decorateRequest('clientAddress', {
    getter(this: FastifyRequest) {
      return proxies.clientOf(this);
    },
  });
  if (settings.refusePlainHttp) refusePlainHttp(fastify, proxies);
  refuseBadHeaders(fastify);
  if (settings.nodeEnv !== 'production') onlyOwnHosts(fastify, settings);
  onlyJson(fastify);
  logRequests(fastify, logger);
  fastify.server.maxConnections = settings.maxConnections;
  fastify.server.on('connect', refuseTunnel);

  app.get(Connections).watch(fastify.server);
  locateRequests(fastify, app.get(GeoLocator));
  app.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
  if (settings.trustedOrigins.length > 0) letRead(app, settings.trustedOrigins);
  app.useGlobalPipes(validationPipe());
  app.useGlobalFilters(problems);
  if (settings.apiDocs) serveOpenApi(app, fastify);
  try {
    await app.init();
  } catch (error) {
    await app.close().catch(() => undefined);
    throw error;
  }
  return app;
}

/** OpenTelemetry is loaded only here, so only with traces. */
async function traced(settings: Settings) {
  const { Tracing } = await import('./platform/tracing/tracing.js');
  return new Tracing(settings);
}

/**
 * During shutdown each answer closes its connection. While the instance drains, it refuses reads with a problem of its
 * own: see `Shutdown`.
 */
function shutDownWithAnswers(fastify: FastifyInstance, shutdown: Shutdown): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    if (!shutdown.hasBegun) return done();
    void reply.header('connection', 'close');
    if (request.routeOptions.config.alwaysAnswers) return done();
    shutdown.noteRequest();
    if (!shutdown.isDraining || !SAFE_METHODS.has(request.method)) return done();
    done(
      new Problem('auth.unavailable', { detail: 'This instance is shutting down. Send the request again.' }),
    );
  });
  fastify.addHook('preClose', (done) => {
    shutdown.refuseRequests();
    done();
  });
}

/** The location is looked up on first access, so only routes that use it pay for it. */
function locateRequests(fastify: FastifyInstance, places: GeoLocator): void {
  fastify.decorateRequest('place', {
    getter(this: FastifyRequest) {
      return places.locate(this);
    },
  });
}

/**
 * CORS: pages of these origins may read answers that were made for their visitor. Other origins get no CORS header,
 * however similar they look. The cross-site guard decides what such pages may change.
 */
function letRead(app: NestFastifyApplication, origins: readonly string[]): void {
  app.enableCors({
    origin: (origin, answer) =>
      answer(null, origin !== undefined && origins.includes(origin) ? origin : false),
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: [
      'Authorization',
      'Content-Type',
      'DPoP',
      'Idempotency-Key',
      'X-API-Key',
      'X-Device-Token',
      'X-Min-Revocation-Seq',
    ],
    exposedHeaders: [
      'DPoP-Nonce',
      'Deprecation',
      'RateLimit',
      'RateLimit-Policy',
      'Retry-After',
      'Sunset',
      'WWW-Authenticate',
      'X-Request-Id',
    ],
    maxAge: PREFLIGHT_MAX_AGE_S,
    // Continues to an empty answer, so that the standard headers are added.
    preflightContinue: true,
    strictPreflight: false,
  });
}

/**
 * A request that reached a trusted proxy over plain HTTP is refused, not redirected. Its credentials were visible on
 * the network, and a redirect would hide the mistake (OWASP REST cheat sheet).
 */
function refusePlainHttp(fastify: FastifyInstance, proxies: TrustedProxies): void {
  fastify.addHook('onRequest', (request, _reply, done) => {
    const isRefused = proxies.isPlainHttp(request) && !request.routeOptions.config.alwaysAnswers;
    done(isRefused ? new Problem('request.insecure') : undefined);
  });
}

/** Accepts only JSON: other sites can make a browser send forms (OWASP CSRF cheat sheet). */
function onlyJson(fastify: FastifyInstance): void {
  const parse = fastify.getDefaultJsonParser('error', 'error');
  fastify.decorateRequest('rawBody', undefined);
  fastify.addHook('onRoute', (route) => {
    if (route.config?.keepsRawBody) route.bodyLimit = RAW_BODY_LIMIT_BYTES;
  });
  // Compressed bodies are refused (RFC 7694): bodies of this size gain nothing from it, and a few bytes can expand to
  // many.
  fastify.addHook('onRequest', (request, _reply, done) => {
    const encoding = request.headers['content-encoding'];
    if (encoding === undefined || encoding.toLowerCase() === 'identity') done();
    else done(new Problem('request.media_type', { headers: { 'accept-encoding': 'identity' } }));
  });
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (request.routeOptions.config.keepsRawBody) request.rawBody = body as string;
    if (body.length === 0) done(null, undefined);
    else void parse(request, body as string, done);
  });
}

/** Logs the pattern of the route, not its URL, so that no identifier and no query reaches the log. */
function logRequests(fastify: FastifyInstance, logger: Logger): void {
  fastify.decorateRequest('event', undefined);
  fastify.decorateRequest('problem', undefined);
  if (!logger.isLevelEnabled('info')) return;
  fastify.addHook('onResponse', (request, reply, done) => {
    logger.info(
      {
        requestId: request.id,
        method: request.method,
        route: request.routeOptions.url ?? null,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        ...securityEventOf(request),
      },
      'request',
    );
    done();
  });
}
