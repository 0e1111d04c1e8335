import type { IncomingMessage } from 'node:http';
import type { Principal } from '../access-tokens.js';
import { Refusal } from '../refusal.js';
import type { Verifier } from '../verifier.js';

interface Request {
  raw: IncomingMessage;
  user?: unknown;
}

interface Reply {
  code(status: number): Reply;
  headers(values: Record<string, string>): Reply;
  send(body: string): unknown;
}

/**
 * A hook for Fastify. It sets `request.user`, or answers.
 *
 * ```ts
 * app.decorateRequest('user', null);
 * app.addHook('onRequest', requireAccess(verifier));
 * ```
 */
export function requireAccess(verifier: Verifier) {
  return async (request: Request, reply: Reply): Promise<unknown> => {
    try {
      request.user = (await verifier.check(request.raw)) satisfies Principal;
      return undefined;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return reply.code(error.status).headers(error.headers).send(JSON.stringify(error.body()));
    }
  };
}
