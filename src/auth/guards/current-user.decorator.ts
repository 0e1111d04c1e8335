import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Principal } from '../../platform/http/request.js';

/** The caller, as the access token names it: no e-mail, no name, no lookup. */
export const CurrentUser = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { user } = context.switchToHttp().getRequest<{ user?: Principal }>();
  if (!user) throw new Error('@CurrentUser() has no user on a @Public() route');
  return user;
});
