import { applyDecorators } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Roles } from '../auth/guards/roles.decorator.js';
import { RequireSession } from '../sessions/check/require-session.decorator.js';

/** For every admin route: requires a live session and the admin role as stored in PostgreSQL. */
export function AdminOnly() {
  return applyDecorators(ApiTags('admin'), RequireSession(), Roles('admin'));
}
