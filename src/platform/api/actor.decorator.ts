import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { requestContextOf, type RequestContext, type Principal } from '../http/request.js';

/** The actor of an action and its request context, for the audit log. */
export interface ActorContext {
  /** Null for the system itself. */
  actorId: string | null;
  context: RequestContext | null;
}

/** The caller of this request as the actor: for an API key, its owner. */
export const Actor = createParamDecorator((_: unknown, context: ExecutionContext): ActorContext => {
  const request = context
    .switchToHttp()
    .getRequest<
      Parameters<typeof requestContextOf>[0] & { user?: Principal; delegate?: { userId: string } }
    >();
  return {
    actorId: request.user?.userId ?? request.delegate?.userId ?? null,
    context: requestContextOf(request),
  };
});
