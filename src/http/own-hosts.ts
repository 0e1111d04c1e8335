import type { FastifyInstance } from 'fastify';
import { Problem } from '../common/problem.js';
import type { Settings } from '../config/settings.js';

/** The routes that development opens to everybody, by their patterns. `/metrics` is one of them for as long as it needs no token. */
const OPEN_IN_DEVELOPMENT = /^\/(dev|docs|openapi\.json|metrics)(\/|$)/;

/**
 * A page of another site can let its own name point to 127.0.0.1, and then read what a server there answers (DNS rebinding). The
 * browser still sends the name in `Host`, so routes that development opens answer under names of this machine only.
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
      done(new Problem('request.cross_site', { detail: 'Call under localhost or the host of APP_URL.' }));
    });
  });
}

/** Without the port and a final dot, in small letters; undefined for what is no host. */
function nameIn(host: string | undefined): string | undefined {
  if (host === undefined || !/^[\w.[\]:-]+$/.test(host) || !URL.canParse(`http://${host}`)) return undefined;
  return new URL(`http://${host}`).hostname.replace(/\.$/, '');
}

/** RFC 6761 6.3 gives all names under `localhost` to this machine. */
function isLoopback(name: string): boolean {
  return /^(([\w-]+\.)*localhost|127(\.\d+){3}|\[::1\])$/.test(name);
}
