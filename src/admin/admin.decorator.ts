import { applyDecorators } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Roles } from '../auth/roles.decorator.js';
import { RequireSession } from '../sessions/require-session.decorator.js';

/** Every admin route: a live session, and the role as stored. */
export function AdminOnly() {
  return applyDecorators(ApiTags('admin'), RequireSession(), Roles('admin'));
}
