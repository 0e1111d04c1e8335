import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { metadataReader } from '../../platform/api/cached-metadata.js';
import { Problem } from '../../platform/api/problem.js';
import type { Role } from '../../roles.js';
import { Settings } from '../../platform/settings/settings.js';
import { SessionCheck } from '../../sessions/check/session-check.js';
import { rolesInForce } from '../../sessions/check/session-snapshot.js';
import { RolesRoute } from './roles.decorator.js';

/**
 * Runs last, on the results of the guards before it. After a session check it reads the roles again from PostgreSQL,
 * because others may be able to write to the cache (ASVS 8.3.1).
 * @throws Problem `auth.forbidden`, or as the session check
 */
@Injectable()
export class RolesGuard implements CanActivate {
  private readonly rolesOf = metadataReader(RolesRoute);

  constructor(
    private readonly sessions: SessionCheck,
    private readonly settings: Settings,
  ) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const wanted = this.rolesOf(context);
    return wanted ? this.judge(wanted, context.switchToHttp().getRequest<FastifyRequest>()) : true;
  }

  private async judge(wanted: readonly Role[], request: FastifyRequest): Promise<boolean> {
    const { session, user } = request;
    if (session && user) {
      request.session = await this.sessions.require(user, { consistency: 'strict' });
      insist(wanted, rolesInForce(request.session, this.settings));
    } else insist(wanted, user?.roles ?? []);
    return true;
  }
}

function insist(wanted: readonly Role[], roles: readonly Role[]): void {
  if (!wanted.some((role) => roles.includes(role))) throw new Problem('auth.forbidden');
}
