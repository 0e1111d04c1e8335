import type { FastifyRequest } from 'fastify';
import { webOriginOf } from '../../platform/http/web-origin.js';
import type { Settings } from '../../platform/settings/settings.js';

type Needed = Pick<Settings, 'appUrl' | 'nodeEnv'>;

/** The origins at which clients reach this application (RFC 6454 5: scheme, host and port count). */
export class OwnOrigins {
  private readonly home: string | null;
  /** The scheme of this site, if the settings define it. */
  private readonly scheme: string | null;

  constructor(settings: Needed) {
    this.home = settings.appUrl ? hostForm(new URL(settings.appUrl).origin) : null;
    this.scheme = schemeIn(settings);
  }

  /** Whether the origin is that of `APP_URL`, or of the host of the request with the scheme of this site. */
  includes(origin: string, request: FastifyRequest): boolean {
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

function schemeIn({ nodeEnv, appUrl }: Needed): string | null {
  if (nodeEnv === 'production') return 'https';
  return appUrl ? new URL(appUrl).protocol.slice(0, -1) : null;
}

/** `example.com.` is `example.com`, written with the root of the DNS. */
function hostForm(origin: string | null): string | null {
  return origin && origin.replace(/\.(?=(:\d+)?$)/, '');
}
