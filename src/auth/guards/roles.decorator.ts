import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import type { Role } from '../../roles.js';

export const RolesRoute = Reflector.createDecorator<Role[]>();

/**
 * Requires one of the roles. With `@RequireSession()` the guard checks the stored user, so a removed role is refused
 * on the next request. On the access tier it checks the token, which may be up to 15 minutes old.
 */
export function Roles(...roles: Role[]) {
  return applyDecorators(RolesRoute(roles), ApiExtension('x-roles', roles), ApiProblems('auth.forbidden'));
}
