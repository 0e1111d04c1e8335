import { RouteConfig } from '@nestjs/platform-fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    alwaysAnswers?: boolean;
  }
}

/**
 * For probes and public keys that the platform itself requests: the route also answers over plain HTTP inside the
 * platform's network, and while the instance shuts down.
 */
export const AlwaysAnswers = (): MethodDecorator => RouteConfig({ alwaysAnswers: true });
