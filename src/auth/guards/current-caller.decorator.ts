import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Caller } from '../../platform/http/request.js';

/** The value of {@link CurrentCaller}. */
export function readCaller(_: unknown, context: ExecutionContext): Caller {
  return callerOf(context.switchToHttp().getRequest<FastifyRequest>());
}

/** The caller of a request that the guards have admitted. */
export function callerOf({
  delegate,
  session,
  user,
}: Pick<FastifyRequest, 'delegate' | 'session' | 'user'>): Caller {
  if (delegate) return delegate;
  if (session) return { kind: 'session', id: session.id, userId: session.userId, roles: session.roles };
  return { kind: 'session', id: user!.sessionId, userId: user!.userId, roles: user!.roles };
}

/**
 * The caller of a route that people and machines may call: a user by a session, by an API key, or by an app. With `@Public()` on
 * the same route, it stops the boot.
 */
export const CurrentCaller = createParamDecorator(readCaller);
