import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { metadataReader } from '../../platform/api/cached-metadata.js';
import { Problem } from '../../platform/api/problem.js';
import { webOriginOf } from '../../platform/http/web-origin.js';
import { Settings } from '../../platform/settings/settings.js';
import { CookieRoute } from './answers-with-cookies.decorator.js';
import './credentials.js';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Refuses unsafe requests that another site made a browser send. The browser attaches its cookies to them, and a
 * forged login would log the victim into an attacker's account. Two kinds of requests are exempt (OWASP CSRF cheat
 * sheet, Fetch Metadata):
 * - A request that authenticates by `Authorization` or `X-API-Key`: no site can make a browser send these headers.
 * - A request from `TRUSTED_ORIGINS` that neither carries nor asks for a cookie.
 */
@Injectable()
export class CrossSiteGuard implements CanActivate {
  private readonly asksForCookies = metadataReader(CookieRoute);
  private readonly home: string | null;
  /** The scheme of this site, if the settings define it. */
  private readonly scheme: string | null;

  constructor(private readonly settings: Settings) {
    this.home = settings.appUrl ? hostForm(new URL(settings.appUrl).origin) : null;
    this.scheme = schemeIn(settings);
  }

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    if (!SAFE_METHODS.has(request.method))
      this.requireOwnSite(request, this.asksForCookies(context)?.(bodyOf(request)));
    return true;
  }

  /**
   * For requests that change something, and for those that open a WebSocket: a browser opens it for any site, with the
   * cookies of this one (RFC 6455 10.2).
   *
   * @throws Problem `request.cross_site`
   */
  requireOwnSite(request: FastifyRequest, asksForCookies = false): void {
    const { transport, apiKey, carriesCookies } = request.credentials;
    if (transport === 'bearer' || apiKey !== null || this.isFromHere(request)) return;
    if (!carriesCookies && !asksForCookies && this.isTrusted(request.headers.origin)) return;
    throw new Problem('request.cross_site');
  }

  /** Browsers send at least one of the two headers. A request with neither does not come from a browser. */
  private isFromHere(request: FastifyRequest): boolean {
    const site = request.headers['sec-fetch-site'];
    if (site !== undefined) return site === 'same-origin' || site === 'none';
    const { origin } = request.headers;
    return origin === undefined || this.isTrusted(origin) || this.isOwn(origin, request);
  }

  private isTrusted(origin: string | undefined): boolean {
    return origin !== undefined && this.settings.trustedOrigins.includes(origin);
  }

  /**
   * Whether the origin is that of `APP_URL`, or of the host of the request with the scheme of this site (RFC 6454 5:
   * scheme, host and port count).
   */
  private isOwn(origin: string, request: FastifyRequest): boolean {
    const sent = hostForm(webOriginOf(origin));
    if (sent === null) return false;
    return (
      sent === this.home ||
      this.schemesOf(request).some((scheme) => sent === hostForm(webOriginOf(`${scheme}://${request.host}`)))
    );
  }

  /**
   * In development without `APP_URL`, a proxy may terminate TLS without saying so: both schemes are then accepted.
   */
  private schemesOf({ protocol }: FastifyRequest): string[] {
    if (protocol === 'https') return ['https'];
    return this.scheme ? [this.scheme] : ['https', 'http'];
  }
}

function schemeIn({ nodeEnv, appUrl }: Settings): string | null {
  if (nodeEnv === 'production') return 'https';
  return appUrl ? new URL(appUrl).protocol.slice(0, -1) : null;
}

/** `example.com.` is `example.com`, written with the root of the DNS. */
function hostForm(origin: string | null): string | null {
  return origin && origin.replace(/\.(?=(:\d+)?$)/, '');
}

function bodyOf({ body }: FastifyRequest): Record<string, unknown> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
}
