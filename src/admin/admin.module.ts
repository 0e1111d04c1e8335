import { Module } from '@nestjs/common';
import { AccountsModule } from '../auth/accounts/accounts.module.js';
import { ApiKeysModule } from '../auth/api-keys/api-keys.module.js';
import { FeedFollowersModule } from '../auth/revocation-feed/feed-followers.module.js';
import { SecondFactorModule } from '../auth/mfa/second-factor.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { UsersModule } from '../users/users.module.js';
import { AdminApiKeysController } from './admin-api-keys.controller.js';
import { AdminAuditController } from './admin-audit.controller.js';
import { AdminSessionsController } from './admin-sessions.controller.js';
import { AdminUsersController } from './admin-users.controller.js';
import { AdminLiveController } from './live/admin-live.controller.js';
import { InstanceReports } from './live/instance-reports.js';
import { LiveChannel } from './live/live-channel.js';
import { LiveReporter } from './live/live-reporter.service.js';
import { LiveView } from './live/live-view.service.js';

/** The admin API. It is thin and uses the same services as the user API. */
@Module({
  imports: [
    AccountsModule,
    ApiKeysModule,
    FeedFollowersModule,
    SecondFactorModule,
    SessionsModule,
    UsersModule,
  ],
  controllers: [
    AdminUsersController,
    AdminSessionsController,
    AdminApiKeysController,
    AdminAuditController,
    AdminLiveController,
  ],
  providers: [InstanceReports, LiveChannel, LiveReporter, LiveView],
})
export class AdminModule {}
