import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Principal } from '../access-tokens.js';
import { Refusal } from '../refusal.js';
import type { Verifier } from '../verifier.js';

export type VerifiedRequest = IncomingMessage & { user?: Principal };

/**
 * Middleware for Express, Connect and plain Node servers. It sets `request.user`, or answers.
 *
 * ```ts
 * app.use(requireAccess(verifier));
 * ```
 */
export function requireAccess(verifier: Verifier) {
  return (request: VerifiedRequest, response: ServerResponse, next: (error?: unknown) => void): void => {
    const accept = (user: Principal) => {
      request.user = user;
      next();
    };
    const refuse = (error: unknown) => {
      if (!(error instanceof Refusal)) return next(error);
      response.writeHead(error.status, error.headers).end(JSON.stringify(error.body()));
    };
    try {
      const found = verifier.check(request);
      if (found instanceof Promise) found.then(accept, refuse);
      else accept(found);
    } catch (error) {
      refuse(error);
    }
  };
}
