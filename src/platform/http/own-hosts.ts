import type { FastifyInstance } from 'fastify';
import { Problem } from '../api/problem.js';
import type { Settings } from '../settings/settings.js';

/** Patterns of the routes that are public in development. `/metrics` is one of them unless it requires a token. */
const OPEN_IN_DEVELOPMENT = /^\/(dev|docs|openapi\.json|metrics)(\/|$)/;

/**
 * A page of another site can point its own name to 127.0.0.1 and then read the answers of a server there (DNS
 * rebinding). The browser still sends that name in `Host`. So routes that are public in development answer only under
 * names of this machine.
 */
export function onlyOwnHosts(
  fastify: FastifyInstance,
  { appUrl, metricsToken }: Pick<Settings, 'appUrl' | 'metricsToken'>,
): void {
  const home = appUrl && nameIn(new URL(appUrl).host);
  fastify.addHook('onRoute', (route) => {
    const isOpen = OPEN_IN_DEVELOPMENT.test(route.url) && !(route.url === '/metrics' && metricsToken);
    if (!isOpen) return;
    route.onRequest = [route.onRequest ?? []].flat().concat((request, _reply, done) => {
      const name = nameIn(request.headers.host);
      if (name !== undefined && (isLoopback(name) || name === home)) return done();
      done(
        new Problem('request.cross_site', {
          detail: 'Use localhost or the host of APP_URL as the host name.',
        }),
      );
    });
  });
}

/** The host name in lower case, without the port and a final dot; undefined if the text is no host. */
function nameIn(host: string | undefined): string | undefined {
  if (host === undefined || !/^[\w.[\]:-]+$/.test(host) || !URL.canParse(`http://${host}`)) return undefined;
  return new URL(`http://${host}`).hostname.replace(/\.$/, '');
}

/** RFC 6761 6.3 reserves all names under `localhost` for this machine. */
function isLoopback(name: string): boolean {
  return /^(([\w-]+\.)*localhost|127(\.\d+){3}|\[::1\])$/.test(name);
}
