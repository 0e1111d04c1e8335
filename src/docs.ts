import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { PROBLEM_SCHEMA } from './common/api-problems.decorator.js';
import { PROBLEMS, type ProblemCode } from './common/problem.js';

/** The page runs its own scripts and nothing else; Swagger UI styles its elements inline. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/** `/openapi.json`, and a page to read and try it at `/docs`. */
export function serveDocs(app: NestFastifyApplication, fastify: FastifyInstance): void {
  fastify.addHook('onRequest', async (request, reply) => {
    if (request.url.startsWith('/docs')) void reply.header('content-security-policy', PAGE_POLICY);
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

const ProblemBody = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string(),
  code: z.enum(Object.keys(PROBLEMS) as [ProblemCode]),
  requestId: z.string(),
});

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
/** What a route answers that has no decorator: the access tier is the default. */
const ACCESS_PROBLEMS: ProblemCode[] = [
  'auth.unauthenticated',
  'auth.invalid_token',
  'auth.token_expired',
  'auth.session_ended',
];

/** Adds what no decorator can know: the default tier, and the schema that all problems share. */
function complete(document: OpenAPIObject): OpenAPIObject {
  document.components = { ...document.components };
  document.components.schemas = {
    ...document.components.schemas,
    [PROBLEM_SCHEMA]: z.toJSONSchema(ProblemBody, { target: 'openapi-3.0' }) as never,
  };
  for (const path of Object.values(document.paths)) {
    for (const method of METHODS) {
      const operation = path[method] as (typeof path.get & { 'x-tier'?: string }) | undefined;
      if (!operation || operation['x-tier']) continue;
      operation['x-tier'] = 'access';
      operation.security = [{ bearer: [] }, { cookie: [] }];
      operation.responses['401'] ??= {
        description: ACCESS_PROBLEMS.map((code) => `\`${code}\`: ${PROBLEMS[code][1]}`).join('; '),
        content: {
          'application/problem+json': { schema: { $ref: `#/components/schemas/${PROBLEM_SCHEMA}` } },
        },
      };
    }
  }
  return document;
}
