import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { PROBLEM_EXTENSION } from './common/api-problems.decorator.js';
import { Problem, PROBLEMS, type ProblemCode } from './common/problem.js';
import { instant } from './common/schemas.js';
import { END_REASONS } from './sessions/end-reason.js';

/** The page runs its own scripts and nothing else; Swagger UI styles its elements inline. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/** Of those that Swagger UI brings along, such as its `package.json`, its page needs these. */
const PAGE_FILES = new Set([
  'favicon-16x16.png',
  'favicon-32x32.png',
  'swagger-ui.css',
  'swagger-ui-bundle.js',
  'swagger-ui-standalone-preset.js',
]);

/** `/openapi.json`, and a page to read and try it at `/docs`. */
export function serveDocs(app: NestFastifyApplication, fastify: FastifyInstance): void {
  fastify.addHook('onRoute', (route) => {
    if (!/^\/docs(\/|$)/.test(route.url)) return;
    route.onRequest = [route.onRequest ?? []].flat().concat(async (request, reply) => {
      void reply.header('content-security-policy', PAGE_POLICY);
      const { '*': file } = request.params as { '*'?: string };
      if (file !== undefined && !PAGE_FILES.has(file)) throw new Problem('resource.not_found');
    });
  });
  const config = new DocumentBuilder()
    .setTitle('Drawbridge')
    .setDescription('Each operation names its tier: public, access, session, fresh or strict.')
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'at+jwt' }, 'bearer')
    .addCookieAuth('__Host-access', { type: 'apiKey', in: 'cookie' }, 'cookie')
    .build();
  SwaggerModule.setup('docs', app, () => complete(SwaggerModule.createDocument(app, config)), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
  });
}

const PROBLEM_SCHEMA = 'Problem';

/** A problem may say more than these, as RFC 9457 3.2 has it: a client ignores what it does not know. */
const ProblemBody = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string(),
  code: z.enum(Object.keys(PROBLEMS) as [ProblemCode]),
  requestId: z.string(),
  errors: z
    .array(z.object({ path: z.string(), message: z.string() }))
    .optional()
    .describe('`request.invalid`'),
  reason: z.enum(END_REASONS).optional().describe('`auth.session_ended`, as is `endedAt`'),
  endedAt: instant.optional(),
  maxAuthAge: z.int().optional().describe('`auth.reauthentication_required`: seconds'),
  bySecondFactor: z.boolean().optional().describe('of the same: a password will not do, ask for a code'),
});

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
type Operation = NonNullable<OpenAPIObject['paths'][string]['get']> & { [extension: `x-${string}`]: unknown };

/** What a route answers that has no decorator: the access tier is the default. */
const ACCESS_PROBLEMS: ProblemCode[] = [
  'auth.unauthenticated',
  'auth.invalid_token',
  'auth.token_expired',
  'auth.session_ended',
  'auth.unavailable',
];
/** What any route may answer; a packed body is refused wherever it comes. */
const COMMON_PROBLEMS: ProblemCode[] = ['auth.ambiguous_credentials', 'request.media_type', 'internal.error'];
/** What any route may answer that wants to know who calls: `X-Min-Revocation-Seq` may be none. */
const GUARDED_PROBLEMS: ProblemCode[] = ['request.invalid'];
/** What any route may answer that does something: a body is read also where none is asked for. */
const UNSAFE_PROBLEMS: ProblemCode[] = ['request.invalid', 'request.too_large', 'request.cross_site'];

const RETRY_AFTER = { 'Retry-After': { description: 'seconds', schema: { type: 'integer' } } } as const;
const field = (description: string) => ({ description, schema: { type: 'string' } }) as const;
/** What a client waits by. */
const HEADERS: Partial<
  Record<number, Record<string, { description: string; schema: { type: 'integer' | 'string' } }>>
> = {
  429: {
    ...RETRY_AFTER,
    'RateLimit-Policy': field('the limit that was met, by name: `q` in `w` seconds'),
    RateLimit: field('of that limit, what is left (`r`) and for how many seconds (`t`)'),
  },
  503: RETRY_AFTER,
};

/** Adds what no single decorator can know: the default tier, and all the problems of a route, by status. */
function complete(document: OpenAPIObject): OpenAPIObject {
  const problemSchema = z.toJSONSchema(ProblemBody, { target: 'openapi-3.0' }) as never;
  document.components = {
    ...document.components,
    schemas: { ...document.components?.schemas, [PROBLEM_SCHEMA]: problemSchema },
  };
  for (const path of Object.values(document.paths)) {
    for (const method of METHODS) {
      if (path[method]) describeOperation(path[method] as Operation, method !== 'get');
    }
  }
  return document;
}

function describeOperation(operation: Operation, isUnsafe: boolean): void {
  const byDefault = operation['x-tier'] === undefined;
  operation['x-tier'] ??= 'access';
  // Once, also where the controller and the route both ask for a session.
  if (operation['x-tier'] !== 'public') operation.security = [{ bearer: [] }, { cookie: [] }];
  const roles = operation['x-roles'] as string[] | undefined;
  // Beside the path, also while the operation is folded.
  operation.summary = [operation['x-tier'] as string, ...(roles ?? []), operation.summary]
    .filter(Boolean)
    .join(' · ');
  const codes = new Set([
    ...takeProblems(operation),
    ...(byDefault ? ACCESS_PROBLEMS : []),
    ...(operation['x-tier'] === 'public' ? [] : GUARDED_PROBLEMS),
    ...(isUnsafe ? UNSAFE_PROBLEMS : []),
    ...COMMON_PROBLEMS,
  ]);
  for (const status of new Set([...codes].map((code) => PROBLEMS[code][0]))) {
    const ofStatus = [...codes].filter((code) => PROBLEMS[code][0] === status);
    operation.responses[status] ??= {
      description: ofStatus.map((code) => `\`${code}\`: ${PROBLEMS[code][1]}`).join('; '),
      ...(HEADERS[status] && { headers: HEADERS[status] }),
      content: { 'application/problem+json': { schema: { $ref: `#/components/schemas/${PROBLEM_SCHEMA}` } } },
    };
  }
  operation['x-problems'] = [...codes];
}

/** Collects what `@ApiProblems()` has left, and tidies up after it. */
function takeProblems(operation: Operation): ProblemCode[] {
  const keys = Object.keys(operation).filter((key) => key.startsWith(PROBLEM_EXTENSION)) as `x-${string}`[];
  for (const key of keys) delete operation[key];
  return keys.map((key) => key.slice(PROBLEM_EXTENSION.length) as ProblemCode);
}
