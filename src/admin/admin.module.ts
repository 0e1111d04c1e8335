import { Module } from '@nestjs/common';
import { AccountsModule } from '../auth/accounts/accounts.module.js';
import { ApiKeysModule } from '../auth/api-keys/api-keys.module.js';
import { OAuthModule } from '../auth/oauth/oauth.module.js';
import { SecondFactorModule } from '../auth/mfa/second-factor.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { UsersModule } from '../users/users.module.js';
import { AdminApiKeysController } from './admin-api-keys.controller.js';
import { AdminGrantsController } from './admin-grants.controller.js';
import { AdminAuditController } from './admin-audit.controller.js';
import { AdminSessionsController } from './admin-sessions.controller.js';
import { AdminUsersController } from './admin-users.controller.js';

/** The admin API. It is thin and uses the same services as the user API. */
@Module({
  imports: [AccountsModule, ApiKeysModule, OAuthModule, SecondFactorModule, SessionsModule, UsersModule],
  controllers: [
    AdminUsersController,
    AdminSessionsController,
    AdminApiKeysController,
    AdminGrantsController,
    AdminAuditController,
  ],
})
export class AdminModule {}
