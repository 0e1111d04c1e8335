import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Problem } from '../common/problem.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { readCredentials } from './credentials.js';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Refuses unsafe requests that another site made a browser send: its cookies come along, and so would
 * a login into somebody else's account. Only a request that authenticates by `Authorization` is
 * exempt, since no site can make a browser send that. (OWASP CSRF cheat sheet, Fetch Metadata)
 */
@Injectable()
export class CrossSiteGuard implements CanActivate {
  constructor(@Inject(SETTINGS_TOKEN) private readonly settings: Settings) {}

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    if (SAFE_METHODS.has(request.method)) return true;
    if (readCredentials(request, this.settings.cookieSecure).transport === 'bearer') return true;
    if (!this.isSameSite(request)) throw new Problem('request.cross_site');
    return true;
  }

  /** Browsers send at least one of the two headers; what sends neither is not a browser. */
  private isSameSite({ headers, host }: FastifyRequest): boolean {
    const site = headers['sec-fetch-site'];
    if (site !== undefined) return site === 'same-origin' || site === 'none';
    const { origin } = headers;
    if (origin === undefined) return true;
    if (this.settings.trustedOrigins.includes(origin)) return true;
    return URL.canParse(origin) && new URL(origin).host === host;
  }
}
