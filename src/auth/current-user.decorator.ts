import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Principal } from '../common/request.js';

/** Who calls, by the access token alone: no e-mail, no name, nothing that was looked up. */
export const CurrentUser = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { user } = context.switchToHttp().getRequest<{ user?: Principal }>();
  if (!user) throw new Error('@CurrentUser() has nobody to give on a @Public() route');
  return user;
});
