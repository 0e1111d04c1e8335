import type { FastifyInstance } from 'fastify';

/**
 * Registers routes that take forms, as the standards of OAuth want them. Every other route takes JSON only. The body of
 * such a route is the text of the form.
 *
 * The result is not awaited: that would begin to start Fastify before Nest has set its error handler.
 */
export function registerFormRoutes(fastify: FastifyInstance, routes: (scope: FastifyInstance) => void): void {
  void fastify.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string' },
      (_request, body, done) => done(null, body),
    );
    routes(scope);
  });
}
