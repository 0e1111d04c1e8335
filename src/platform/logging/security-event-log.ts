import type { FastifyRequest } from 'fastify';
import type { Problem, ProblemCode } from '../api/problem.js';
import { requestContextOf, type Principal } from '../http/request.js';
import { sha256 } from '../runtime/sha256.js';

/**
 * The event in the log line of a request, named as in the OWASP logging vocabulary if that has a name. It adds no
 * line of its own: a client that sends many bad requests does not make the log grow faster than one with good
 * requests.
 */
export type SecurityEventName =
  | 'session_created'
  | 'session_renewed'
  | 'session_use_after_expire'
  | 'authz_fail'
  | 'input_validation_fail'
  | 'excess_rate_limit_exceeded'
  | 'malicious_cors'
  | 'malicious_extraneous';

export interface SecurityEvent {
  event: SecurityEventName;
  /** The user and session concerned, unless they are those of the request's own principal. */
  about?: Pick<Principal, 'userId' | 'sessionId'>;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by code whose action the log should name. */
    event?: SecurityEvent;
    /** Set by the problem filter. */
    problem?: Problem;
  }
}

/** Without expired access tokens, which are routine, and failed logins, which are audit events. */
const EVENTS: Partial<Record<ProblemCode, SecurityEventName>> = {
  'request.invalid': 'input_validation_fail',
  'request.too_large': 'input_validation_fail',
  'request.media_type': 'input_validation_fail',
  'request.insecure': 'authz_fail',
  'request.cross_site': 'malicious_cors',
  'request.rate_limited': 'excess_rate_limit_exceeded',
  'auth.ambiguous_credentials': 'malicious_extraneous',
  'auth.invalid_token': 'authz_fail',
  'auth.invalid_key': 'authz_fail',
  'auth.insufficient_scope': 'authz_fail',
  'auth.session_ended': 'session_use_after_expire',
  'auth.forbidden': 'authz_fail',
};

/** The event with its outcome, reason, user and request context (ASVS 16.2.1). Undefined for an ordinary request. */
export function securityEventOf(request: FastifyRequest): Record<string, unknown> | undefined {
  const { problem, user, delegate } = request;
  const event = problem ? EVENTS[problem.code] : request.event?.event;
  if (!event) return undefined;
  const about = problem?.options.about ?? request.event?.about ?? user;
  const { ip, userAgent } = requestContextOf(request);
  return {
    event,
    outcome: problem ? 'failure' : 'success',
    reason: problem?.code,
    actorType: delegate ? delegate.kind : about ? 'user' : 'anonymous',
    actorId: delegate?.userId ?? about?.userId,
    session: about && shortSessionId(about.sessionId),
    ...(delegate && { [delegate.kind === 'app' ? 'grant' : 'apiKey']: shortSessionId(delegate.id) }),
    ip,
    userAgent,
  };
}

/**
 * A pseudonym of a session, an API key or a grant. Session ids appear only in the audit log; other logs distinguish sessions without them
 * (OWASP session management cheat sheet).
 */
export function shortSessionId(sessionId: string): string {
  return sha256(sessionId).toString('base64url').slice(0, 16);
}
