import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { registerFormRoutes } from '../../platform/http/form-routes.js';
import { requestContextOf } from '../../platform/http/request.js';
import { Settings } from '../../platform/settings/settings.js';
import { ThrottleGuard } from '../../platform/throttling/throttle.guard.js';
import { IdentitiesService } from './identities.service.js';
import { SocialClients } from './social-clients.js';

/**
 * `POST /v1/auth/social/:provider/backchannel-logout`: a provider says that its user has logged out there (OpenID Connect
 * Back-Channel Logout 1.0).
 */
@Injectable()
export class BackchannelLogout implements OnModuleInit {
  constructor(
    private readonly host: HttpAdapterHost,
    private readonly clients: SocialClients,
    private readonly identities: IdentitiesService,
    private readonly throttle: ThrottleGuard,
    private readonly settings: Settings,
  ) {}

  onModuleInit(): void {
    registerFormRoutes(this.host.httpAdapter.getInstance<FastifyInstance>(), (scope) => {
      scope.post<{ Params: { provider: string } }>(
        '/v1/auth/social/:provider/backchannel-logout',
        async (request, reply) => {
          const isGood = await this.handle(request.params.provider, request as FastifyRequest);
          // The answers of the standard (2.8).
          return isGood ? reply.send() : reply.code(400).send({ error: 'invalid_request' });
        },
      );
    });
  }

  private async handle(provider: string, request: FastifyRequest): Promise<boolean> {
    if (this.settings.rateLimits === 'on') await this.throttle.admit('social', ['address'], request);
    const token = new URLSearchParams(String(request.body ?? '')).get('logout_token') ?? '';
    const logout = await this.clients.readLogoutToken(provider, token);
    if (logout) await this.identities.endSessionsOf(logout, requestContextOf(request));
    return logout !== null;
  }
}
