import { Module } from '@nestjs/common';
import { SessionsModule } from '../../sessions/sessions.module.js';
import { UsersModule } from '../../users/users.module.js';
import { DelegatesModule } from '../delegates/delegates.module.js';
import { KeyRing } from '../tokens/key-ring.js';
import { AdminGrantsController } from './admin-grants.controller.js';
import { AppAdmission } from './check/app.admission.js';
import { AppTokens } from './check/app-token.js';
import { GrantCheck } from './check/grant-check.js';
import { ConsentService } from './consent/consent.service.js';
import { InteractionController } from './consent/interaction.controller.js';
import { GrantRepository } from './grant.repository.js';
import { GrantsController } from './grants.controller.js';
import { GrantsService } from './grants.service.js';
import { OAuthProvider } from './provider/oauth-provider.js';
import { OAuthRecordRepository } from './provider/oauth-record.repository.js';
import { OAuthRoutes } from './provider/oauth-routes.js';
import { ProtectedResourceController } from './provider/protected-resource.controller.js';
import { ProviderConfiguration } from './provider/provider-configuration.js';
import { OAuthResources } from './provider/resources.js';
import { TokenClaims } from './provider/token-claims.js';

/**
 * Apps that act for users: the OAuth provider, consent, grants, and the check of their tokens. Nothing imports this
 * folder but `src/features.ts`, so that a product can delete it.
 */
@Module({
  imports: [DelegatesModule, SessionsModule, UsersModule],
  controllers: [AdminGrantsController, GrantsController, InteractionController, ProtectedResourceController],
  providers: [
    AppAdmission,
    AppTokens,
    ConsentService,
    GrantCheck,
    GrantRepository,
    GrantsService,
    KeyRing,
    OAuthProvider,
    OAuthRecordRepository,
    OAuthResources,
    OAuthRoutes,
    ProviderConfiguration,
    TokenClaims,
  ],
})
export class OAuthModule {}
