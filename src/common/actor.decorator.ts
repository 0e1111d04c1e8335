import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { originOf, type Origin, type Principal } from './request.js';

/** The actor of an action and its request context, for the audit log. */
export interface Acting {
  /** Null for the system itself. */
  actorId: string | null;
  origin: Origin | null;
}

/** The caller of this request as the actor. */
export const Actor = createParamDecorator((_: unknown, context: ExecutionContext): Acting => {
  const request = context.switchToHttp().getRequest<Parameters<typeof originOf>[0] & { user?: Principal }>();
  return { actorId: request.user?.userId ?? null, origin: originOf(request) };
});
