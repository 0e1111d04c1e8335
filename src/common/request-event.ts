import type { FastifyRequest } from 'fastify';
import { createHash } from 'node:crypto';
import type { Problem, ProblemCode } from './problem.js';
import { originOf, type Principal } from './request.js';

/**
 * What the line of a request in the log says besides, named as in the OWASP logging vocabulary where it has a name.
 * It is no line of its own: whoever sends many bad requests does not make the log grow faster than good ones do.
 */
export type RequestEventName =
  | 'session_created'
  | 'session_renewed'
  | 'session_use_after_expire'
  | 'authz_fail'
  | 'input_validation_fail'
  | 'excess_rate_limit_exceeded'
  | 'malicious_cors'
  | 'malicious_extraneous';

export interface RequestEvent {
  event: RequestEventName;
  /** Whom it is about, where the request's own principal does not say. */
  about?: Pick<Principal, 'userId' | 'sessionId'>;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by whoever has done something that the log is to name. */
    event?: RequestEvent;
    /** Set by the problem filter. */
    problem?: Problem;
  }
}

/** An access token that has expired and a login that failed are not here: the first is routine, the second an audit event. */
const EVENTS: Partial<Record<ProblemCode, RequestEventName>> = {
  'request.invalid': 'input_validation_fail',
  'request.too_large': 'input_validation_fail',
  'request.media_type': 'input_validation_fail',
  'request.insecure': 'authz_fail',
  'request.cross_site': 'malicious_cors',
  'request.rate_limited': 'excess_rate_limit_exceeded',
  'auth.ambiguous_credentials': 'malicious_extraneous',
  'auth.invalid_token': 'authz_fail',
  'auth.session_ended': 'session_use_after_expire',
  'auth.forbidden': 'authz_fail',
};

/** What, with what outcome, why, who, from where (ASVS 16.2.1); nothing for a request that is like any other. */
export function describeEvent(request: FastifyRequest): Record<string, unknown> | undefined {
  const { problem, user } = request;
  const event = problem ? EVENTS[problem.code] : request.event?.event;
  if (!event) return undefined;
  const about = problem?.options.about ?? request.event?.about ?? user;
  const { ip, userAgent } = originOf(request);
  return {
    event,
    outcome: problem ? 'failure' : 'success',
    reason: problem?.code,
    actorType: about ? 'user' : 'anonymous',
    actorId: about?.userId,
    session: about && nameOf(about.sessionId),
    ip,
    userAgent,
  };
}

/** Ids of sessions are in the audit log; other logs tell sessions apart without them (OWASP session management cheat sheet). */
export function nameOf(sessionId: string): string {
  return createHash('sha256').update(sessionId).digest('base64url').slice(0, 16);
}
