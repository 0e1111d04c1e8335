import { Module, type DynamicModule } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccountsModule } from './accounts/accounts.module.js';
import { AdminModule } from './admin/admin.module.js';
import { AuditModule } from './audit/audit.module.js';
import { AccessGuard } from './auth/access.guard.js';
import { AuthModule } from './auth/auth.module.js';
import { CrossSiteGuard } from './auth/cross-site.guard.js';
import { RolesGuard } from './auth/roles.guard.js';
import { CacheModule } from './cache/cache.module.js';
import { ConfigModule, type Replacements } from './config/config.module.js';
import type { Keys } from './config/key-format.js';
import type { Settings } from './config/settings.js';
import { DatabaseModule } from './database/database.module.js';
import { ExamplesModule } from './examples/examples.module.js';
import { HealthModule } from './health/health.module.js';
import { MailModule } from './mail/mail.module.js';
import { MetricsModule } from './metrics/metrics.module.js';
import { PlacesModule } from './places/places.module.js';
import { SecondFactorModule } from './second-factor/second-factor.module.js';
import { PendingActionsModule } from './sessions/pending-actions.module.js';
import { HttpModule } from './http/http.module.js';
import { SessionGuard } from './sessions/session.guard.js';
import { SessionsModule } from './sessions/sessions.module.js';
import { CallerLimitGuard } from './throttle/caller-limit.guard.js';
import { ThrottleGuard } from './throttle/throttle.guard.js';
import { ThrottleModule } from './throttle/throttle.module.js';
import { UsersModule } from './users/users.module.js';

/**
 * Every request passes these guards in this order, on every route: a route is closed unless a decorator opens it. The
 * cross-site guard comes first, so a forged cross-site request does not count against the victim's rate limits.
 */
const GUARDS = [CrossSiteGuard, ThrottleGuard, AccessGuard, CallerLimitGuard, SessionGuard, RolesGuard];

@Module({})
export class AppModule {
  static forRoot(settings: Settings, keys: Keys, replacements: Replacements = {}): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot(settings, keys, replacements),
        HttpModule,
        DatabaseModule,
        CacheModule,
        PlacesModule,
        AuditModule,
        PendingActionsModule,
        MailModule.forRoot(settings),
        UsersModule,
        ThrottleModule,
        SessionsModule,
        SecondFactorModule,
        AuthModule,
        AccountsModule,
        AdminModule,
        HealthModule,
        MetricsModule,
        ExamplesModule,
      ],
      providers: GUARDS.map((guard) => ({ provide: APP_GUARD, useExisting: guard })),
    };
  }
}
