import type { FastifyRequest } from 'fastify';
import { Problem } from '../../platform/api/problem.js';

/**
 * The problem of a request whose browser says that it could not get a bound cookie now; null for every other request. A
 * browser holds its requests back until it has that cookie. If it cannot get one, it sends them with the header
 * `Secure-Session-Skipped` (DBSC): a later attempt may succeed. A copy can send the header too, so the header only selects
 * the problem of a refusal. It is not 503: proxies would take that for a fault of the instance, and set the instance aside.
 */
export function proofDelayed({ headers }: Pick<FastifyRequest, 'headers'>): Problem | null {
  return headers['secure-session-skipped'] === undefined
    ? null
    : new Problem('request.rate_limited', { detail: DELAYED, headers: { 'retry-after': '1' } });
}

const DELAYED = 'The browser could not prove its device key now. Try again; the session has not ended.';
