import { RouteConfig } from '@nestjs/platform-fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    alwaysAnswers?: boolean;
  }
}

/**
 * For probes and keys that the platform itself asks for: the route also answers over plain HTTP inside the platform's network, and
 * while the instance shuts down.
 */
export const AlwaysAnswers = (): MethodDecorator => RouteConfig({ alwaysAnswers: true });
