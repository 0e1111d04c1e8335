import type { FastifyInstance } from 'fastify';

/** The methods of each path, for `Allow` on a 405 (RFC 9110 15.5.6). */
export class RouteTable {
  private readonly routes: { pattern: RegExp; methods: string[] }[] = [];

  follow(fastify: FastifyInstance): void {
    fastify.addHook('onRoute', ({ url, method }) => {
      const pattern = new RegExp(`^${url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+')}$`);
      this.routes.push({ pattern, methods: [method].flat() });
    });
  }

  /** Sorted; empty for an unknown path. */
  methodsOf(url: string): string[] {
    const path = url.split('?')[0] ?? '';
    const methods = this.routes.filter(({ pattern }) => pattern.test(path)).flatMap((route) => route.methods);
    return [...new Set(methods)].sort();
  }
}
