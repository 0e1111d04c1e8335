import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Principal } from './access-tokens.js';
import { Refusal } from './refusal.js';
import type { Verifier } from './verifier.js';

/**
 * Answers the subrequests of nginx (`auth_request`), so that a service in any language is protected. `nginx.conf` in this
 * package shows the use.
 *
 * - `/verify`: 204 with the caller in `X-User-Id`, `X-Session-Id` and `X-Roles`, or the refusal
 * - `/refusal`: the refusal with its body. nginx passes the headers of a subrequest on, but no body
 * - `/health/ready`: 204 while the list is current
 */
export function sidecar(verifier: Verifier) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const path = request.url?.split('?', 1)[0];
    if (path === '/health/ready') return void answerHealth(verifier, response);
    if (path !== '/verify' && path !== '/refusal') return void response.writeHead(404).end();
    const accept = (caller: Principal) => {
      // The token was accepted meanwhile, for example because the list is current again: try once more.
      if (path === '/refusal') return refuse(new Refusal('auth.unavailable'));
      response.writeHead(204, headersOf(caller)).end();
    };
    const refuse = (error: unknown) => answer(response, asRefusal(error));
    void new Promise<Principal>((resolve) => resolve(verifier.check(request))).then(accept, refuse);
  };
}

function headersOf({ userId, sessionId, tokenId, roles }: Principal): Record<string, string> {
  return {
    'x-user-id': userId,
    'x-session-id': sessionId,
    'x-token-id': tokenId,
    'x-roles': roles.join(','),
    'cache-control': 'no-store',
  };
}

function answer(response: ServerResponse, refusal: Refusal): void {
  const { reason, endedAt } = refusal.members as { reason?: string; endedAt?: string };
  const problem = {
    'x-problem-code': refusal.code,
    ...(reason && { 'x-problem-reason': reason }),
    ...(endedAt && { 'x-problem-ended-at': endedAt }),
  };
  response.writeHead(refusal.status, { ...refusal.headers, ...problem }).end(JSON.stringify(refusal.body()));
}

function answerHealth(verifier: Verifier, response: ServerResponse): void {
  response.writeHead(verifier.status === 'current' ? 204 : 503, { 'x-state': verifier.status }).end();
}

/** An unexpected error never lets a request in. */
function asRefusal(error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal('auth.unavailable');
}
