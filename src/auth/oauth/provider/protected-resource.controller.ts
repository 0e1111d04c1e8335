import { Controller, Get, Header, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { ApiProblems } from '../../../platform/api/api-problems.decorator.js';
import { Problem } from '../../../platform/api/problem.js';
import { SCOPES } from '../../../scopes.js';
import { Public } from '../../guards/public.decorator.js';
import { OAuthProvider } from './oauth-provider.js';
import { OAuthResources } from './resources.js';

const Metadata = z.object({
  resource: z.url().meta({ examples: ['https://api.example.com'] }),
  authorization_servers: z.array(z.url()).meta({ examples: [['https://api.example.com/oauth']] }),
  scopes_supported: z.array(z.string()).meta({ examples: [['openid', 'offline_access']] }),
  bearer_methods_supported: z.array(z.string()).meta({ examples: [['header']] }),
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
  @ApiOperation({
    summary: 'Read which provider issues tokens for this API',
    description: 'Protected resource metadata (RFC 9728).',
  })
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
