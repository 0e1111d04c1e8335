import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { PROBLEM_EXTENSION } from './platform/api/api-problems.decorator.js';
import { Problem, PROBLEMS, type ProblemCode } from './platform/api/problem.js';
import { cookieNamesOf } from './platform/http/cookie-names.js';
import { Settings } from './platform/settings/settings.js';
import { OAuthResources } from './auth/oauth/provider/resources.js';
import { oauthSettings } from './auth/oauth/settings.js';
import { instant } from './platform/api/schemas.js';
import { END_REASONS } from './sessions/revocation/end-reason.js';
import { PRODUCT } from './product.js';

/** The page may run only its own scripts. Inline styles are allowed because Swagger UI sets them on its elements. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/** The only files of the Swagger UI package that are served. Others, such as its `package.json`, are not found. */
const PAGE_FILES = new Set([
  'favicon-16x16.png',
  'favicon-32x32.png',
  'swagger-ui.css',
  'swagger-ui-bundle.js',
  'swagger-ui-standalone-preset.js',
]);

/** Serves `/openapi.json`, and `/docs`, a page to read it and try it. */
export function serveOpenApi(app: NestFastifyApplication, fastify: FastifyInstance): void {
  fastify.addHook('onRoute', (route) => {
    if (!/^\/docs(\/|$)/.test(route.url)) return;
    route.onRequest = [route.onRequest ?? []].flat().concat(async (request, reply) => {
      void reply.header('content-security-policy', PAGE_POLICY);
      const { '*': file } = request.params as { '*'?: string };
      if (file !== undefined && !PAGE_FILES.has(file)) throw new Problem('resource.not_found');
    });
  });
  const settings = app.get(Settings);
  const hasApps = oauthSettings(settings).oauthProvider === 'on';
  const builder = new DocumentBuilder()
    .setTitle(PRODUCT.name)
    .setDescription('Each operation names its tier: public, access, session, fresh or strict.')
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'at+jwt' }, 'bearer')
    .addApiKey({ type: 'apiKey', in: 'header', name: 'X-API-Key' }, 'apiKey')
    .addCookieAuth(cookieNamesOf(settings).access, { type: 'apiKey', in: 'cookie' }, 'cookie');
  if (hasApps)
    builder.addSecurity('app', {
      type: 'openIdConnect',
      openIdConnectUrl: `${app.get(OAuthResources).issuer}/.well-known/openid-configuration`,
    });
  const config = builder.build();
  SwaggerModule.setup('docs', app, () => complete(SwaggerModule.createDocument(app, config), hasApps), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
  });
}

const PROBLEM_SCHEMA = 'Problem';

/**
 * A problem may have more members (RFC 9457 3.2): a client ignores members that it does not know. A function, because
 * features define codes after this module has loaded.
 */
const problemBody = () =>
  z.looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.enum(PROBLEMS.names()),
    requestId: z.string(),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .describe('`request.invalid`'),
    reason: z.enum(END_REASONS).optional().describe('`auth.session_ended`; so is `endedAt`'),
    endedAt: instant.optional(),
    maxAuthAge: z.int().optional().describe('`auth.reauthentication_required`: seconds'),
    bySecondFactor: z
      .boolean()
      .optional()
      .describe('`auth.reauthentication_required`: a password is not accepted, ask for a code'),
  });

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
type Operation = NonNullable<OpenAPIObject['paths'][string]['get']> & { [extension: `x-${string}`]: unknown };

/** The problems of a route without a tier decorator: the access tier is the default. */
const ACCESS_PROBLEMS: ProblemCode[] = [
  'auth.unauthenticated',
  'auth.invalid_token',
  'auth.token_expired',
  'auth.session_ended',
  'auth.unavailable',
];
/** The problems that every route may answer. Every route refuses a compressed body. */
const COMMON_PROBLEMS: ProblemCode[] = ['auth.ambiguous_credentials', 'request.media_type', 'internal.error'];
/** The problems that every non-public route may answer: `X-Min-Revocation-Seq` may be malformed. */
const GUARDED_PROBLEMS: ProblemCode[] = ['request.invalid'];
/** The problems that every unsafe method may answer: a body is parsed even if the route expects none. */
const UNSAFE_PROBLEMS: ProblemCode[] = ['request.invalid', 'request.too_large', 'request.cross_site'];

const RETRY_AFTER = { 'Retry-After': { description: 'seconds', schema: { type: 'integer' } } } as const;
const field = (description: string) => ({ description, schema: { type: 'string' } }) as const;
/** Headers that tell a client how long to wait. */
const HEADERS: Partial<
  Record<number, Record<string, { description: string; schema: { type: 'integer' | 'string' } }>>
> = {
  429: {
    ...RETRY_AFTER,
    'RateLimit-Policy': field('the name of the limit that was exceeded: `q` requests in `w` seconds'),
    RateLimit: field('the requests left of that limit (`r`) and the seconds until it resets (`t`)'),
  },
  503: RETRY_AFTER,
};

/** Adds facts that no single decorator knows: the default tier, and all problems of a route by status. */
function complete(document: OpenAPIObject, hasApps: boolean): OpenAPIObject {
  const problemSchema = z.toJSONSchema(problemBody(), { target: 'openapi-3.0' }) as never;
  document.components = {
    ...document.components,
    schemas: { ...document.components?.schemas, [PROBLEM_SCHEMA]: problemSchema },
  };
  for (const path of Object.values(document.paths)) {
    for (const method of METHODS) {
      if (path[method]) describeOperation(path[method] as Operation, method !== 'get', hasApps);
    }
  }
  return document;
}

function describeOperation(operation: Operation, isUnsafe: boolean, hasApps: boolean): void {
  const byDefault = operation['x-tier'] === undefined;
  operation['x-tier'] ??= 'access';
  // Set once, even if both the controller and the route require a session.
  if (operation['x-tier'] !== 'public')
    operation.security = operation['x-machines-only'] ? [] : [{ bearer: [] }, { cookie: [] }];
  const scope = operation['x-scope'] as string | undefined;
  // OpenAPI 3.1: for schemes other than OAuth the list names the roles that the operation needs.
  if (scope !== undefined) operation.security!.push({ apiKey: [scope] });
  if (scope !== undefined && hasApps && operation['x-apps']) operation.security!.push({ app: [scope] });
  const roles = operation['x-roles'] as string[] | undefined;
  // Shown beside the path, even while the operation is collapsed.
  operation.summary = [
    operation['x-tier'] as string,
    ...(roles ?? []),
    scope && `key: ${scope}`,
    operation.summary,
  ]
    .filter(Boolean)
    .join(' · ');
  const codes = new Set([
    ...takeProblems(operation),
    ...(byDefault ? ACCESS_PROBLEMS : []),
    ...(operation['x-tier'] === 'public' ? [] : GUARDED_PROBLEMS),
    ...(isUnsafe ? UNSAFE_PROBLEMS : []),
    ...COMMON_PROBLEMS,
  ]);
  for (const status of new Set([...codes].map((code) => PROBLEMS.get(code)[0]))) {
    const ofStatus = [...codes].filter((code) => PROBLEMS.get(code)[0] === status);
    operation.responses[status] ??= {
      description: ofStatus.map((code) => `\`${code}\`: ${PROBLEMS.get(code)[1]}`).join('; '),
      ...(HEADERS[status] && { headers: HEADERS[status] }),
      content: { 'application/problem+json': { schema: { $ref: `#/components/schemas/${PROBLEM_SCHEMA}` } } },
    };
  }
  operation['x-problems'] = [...codes];
}

/** Collects the extensions that `@ApiProblems()` set, and removes them. */
function takeProblems(operation: Operation): ProblemCode[] {
  const keys = Object.keys(operation).filter((key) => key.startsWith(PROBLEM_EXTENSION)) as `x-${string}`[];
  for (const key of keys) delete operation[key];
  return keys.map((key) => key.slice(PROBLEM_EXTENSION.length) as ProblemCode);
}
