import type { Principal } from '../access-tokens.js';
import { Refusal } from '../refusal.js';
import type { Verifier } from '../verifier.js';

interface Context {
  req: { raw: { headers: Headers } };
  set(key: 'user', value: Principal): void;
}

/**
 * Middleware for Hono. `c.get('user')` is the caller afterwards.
 *
 * ```ts
 * app.use('/api/*', requireAccess(verifier));
 * ```
 */
export function requireAccess(verifier: Verifier) {
  return async (context: Context, next: () => Promise<void>): Promise<Response | void> => {
    try {
      context.set('user', await verifier.check({ headers: Object.fromEntries(context.req.raw.headers) }));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return new Response(JSON.stringify(error.body()), { status: error.status, headers: error.headers });
    }
    return next();
  };
}
