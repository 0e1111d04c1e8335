import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';
import { ApiProblems } from '../common/api-problems.decorator.js';
import type { Role } from '../common/roles.js';

export const RolesRoute = Reflector.createDecorator<Role[]>();

/**
 * Lets in who has one of the roles. With `@RequireSession()` the stored user is judged, so that a role
 * taken away is gone on the next request; on the access tier the token is, for up to 15 minutes.
 */
export function Roles(...roles: Role[]) {
  return applyDecorators(RolesRoute(roles), ApiExtension('x-roles', roles), ApiProblems('auth.forbidden'));
}
