import { HttpException, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { Refusal } from '../refusal.js';
import type { Verifier } from '../verifier.js';

interface Reply {
  header(name: string, value: string): unknown;
}

/**
 * A guard for NestJS, on Express and on Fastify. It sets `request.user`, or answers.
 *
 * ```ts
 * { provide: APP_GUARD, useValue: new AccessGuard(verifier) }
 * ```
 */
export class AccessGuard implements CanActivate {
  constructor(private readonly verifier: Verifier) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<IncomingMessage & { raw?: IncomingMessage; user?: unknown }>();
    try {
      request.user = await this.verifier.check(request.raw ?? request);
      return true;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      for (const [name, value] of Object.entries(error.headers))
        http.getResponse<Reply>().header(name, value);
      throw new HttpException(error.body(), error.status, { cause: error });
    }
  }
}
