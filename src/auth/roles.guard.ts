import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { metadataReader } from '../common/metadata.js';
import { Problem } from '../common/problem.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { rolesInForce } from '../sessions/session-snapshot.js';
import { RolesRoute } from './roles.decorator.js';

/** Runs last: it judges what the guards before it have established. */
@Injectable()
export class RolesGuard implements CanActivate {
  private readonly rolesOf = metadataReader(RolesRoute);

  constructor(@Inject(SETTINGS_TOKEN) private readonly settings: Settings) {}

  canActivate(context: ExecutionContext): boolean {
    const wanted = this.rolesOf(context);
    if (!wanted) return true;
    const { session, user } = context.switchToHttp().getRequest<FastifyRequest>();
    const roles = session ? rolesInForce(session, this.settings) : (user?.roles ?? []);
    if (!wanted.some((role) => roles.includes(role))) throw new Problem('auth.forbidden');
    return true;
  }
}
