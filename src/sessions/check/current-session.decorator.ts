import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { SessionSnapshot } from './session-snapshot.js';

/** The value of {@link CurrentSession}. */
export const readSession = (_: unknown, context: ExecutionContext): SessionSnapshot =>
  context.switchToHttp().getRequest<FastifyRequest>().session!;

/**
 * The session as the session guard checked it for this request. Without `@RequireSession()` on the same route, or with
 * `@AllowApiKey()`, it stops the boot.
 */
export const CurrentSession = createParamDecorator(readSession);
