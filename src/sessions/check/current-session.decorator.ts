import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { SessionSnapshot } from './session-snapshot.js';

/** The session as the session guard checked it for this request. Works only on routes with `@RequireSession()`. */
export const CurrentSession = createParamDecorator(
  (_: unknown, context: ExecutionContext): SessionSnapshot => {
    const { session } = context.switchToHttp().getRequest<FastifyRequest>();
    if (!session) throw new Error('@CurrentSession() requires @RequireSession() on the same route');
    return session;
  },
);
