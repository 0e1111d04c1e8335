import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Principal } from '../../platform/http/request.js';

/** The value of {@link CurrentUser}. */
export const readUser = (_: unknown, context: ExecutionContext): Principal =>
  context.switchToHttp().getRequest<{ user: Principal }>().user;

/**
 * The caller, as the access token names it: no e-mail, no name, no lookup. With `@Public()` or `@AllowApiKey()` on the
 * same route, it stops the boot.
 */
export const CurrentUser = createParamDecorator(readUser);
