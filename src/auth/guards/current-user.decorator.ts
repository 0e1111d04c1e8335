import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Principal } from '../../platform/http/request.js';

/** The value of {@link CurrentUser}. */
export const readUser = (_: unknown, context: ExecutionContext): Principal =>
  context.switchToHttp().getRequest<{ user: Principal }>().user;

/**
 * The caller, as the access token names it: no e-mail, no name, no lookup. With `@AllowApiKey()` on the same route, or
 * with `@Public()` and no guard of its own, it stops the boot.
 */
export const CurrentUser = createParamDecorator(readUser);
