import type { FastifyInstance } from 'fastify';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Problem } from '../api/problem.js';
import { PACKAGE_ROOT } from '../runtime/package-root.js';

/** The page may run only its own scripts. Inline styles are allowed because Swagger UI sets them on its elements. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Our files: the page, its style, and its script, which adds badges and logins to Swagger UI. */
const OWN_FILES = join(PACKAGE_ROOT, 'src/platform/api-docs/page');
const swaggerFiles = () => dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

/** The only files that are served. Others of the package, such as its `package.json`, are not found. */
const SERVED = new Set([
  'docs.html',
  'docs.css',
  'docs.js',
  'favicon-32x32.png',
  'swagger-ui.css',
  'swagger-ui-bundle.js',
]);

/** Serves `/docs`, a page to read `/openapi.json` and to try it. */
export function serveDocsPage(fastify: FastifyInstance): void {
  void fastify.register(async (page) => {
    // Loaded only where the page is served.
    const { default: fastifyStatic } = await import('@fastify/static');
    page.addHook('onRequest', async (request, reply) => {
      void reply.header('content-security-policy', PAGE_POLICY);
      const { '*': file } = request.params as { '*'?: string };
      if (file !== undefined && !SERVED.has(file)) throw new Problem('resource.not_found');
    });
    await page.register(fastifyStatic, {
      root: [OWN_FILES, swaggerFiles()],
      prefix: '/docs/',
      index: false,
    });
    for (const url of ['/docs', '/docs/']) page.get(url, (_request, reply) => reply.sendFile('docs.html'));
  });
}
