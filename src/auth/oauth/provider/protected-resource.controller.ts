import { Controller, Get, Header, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { ApiProblems } from '../../../platform/api/api-problems.decorator.js';
import { Problem } from '../../../platform/api/problem.js';
import { SCOPES } from '../../../scopes.js';
import { Public } from '../../guards/public.decorator.js';
import { OAuthProvider } from './oauth-provider.js';
import { OAuthResources } from './resources.js';

const Metadata = z.object({
  resource: z.url(),
  authorization_servers: z.array(z.url()),
  scopes_supported: z.array(z.string()),
  bearer_methods_supported: z.array(z.string()),
});

/** Tells clients which provider issues tokens for this API (RFC 9728). */
@ApiTags('oauth')
@Controller({ path: '.well-known', version: VERSION_NEUTRAL })
@Public()
export class ProtectedResourceController {
  constructor(
    private readonly provider: OAuthProvider,
    private readonly resources: OAuthResources,
  ) {}

  @Get('oauth-protected-resource')
  @Header('cache-control', 'public, max-age=300')
  @Header('access-control-allow-origin', '*')
  @ApiOkResponse({ standardSchema: Metadata })
  @ApiProblems('resource.not_found')
  metadata() {
    if (!this.provider.isOn) throw new Problem('resource.not_found');
    return {
      resource: this.resources.home,
      authorization_servers: [this.resources.issuer],
      scopes_supported: SCOPES.names(),
      bearer_methods_supported: ['header'],
    };
  }
}
