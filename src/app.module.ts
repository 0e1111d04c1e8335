import { Module, type CanActivate, type DynamicModule, type Type } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccountsModule } from './auth/accounts/accounts.module.js';
import { AdminModule } from './admin/admin.module.js';
import { AuditModule } from './platform/audit/audit.module.js';
import { AccessGuard } from './auth/guards/access.guard.js';
import { AttemptsModule } from './auth/attempts/attempts.module.js';
import { AuthModule } from './auth/auth.module.js';
import { CrossSiteGuard } from './auth/guards/cross-site.guard.js';
import { RolesGuard } from './auth/guards/roles.guard.js';
import { CacheModule } from './platform/cache/cache.module.js';
import { SettingsModule, type Replacements } from './platform/settings/settings.module.js';
import type { Keys } from './platform/keys/key-format.js';
import type { Settings } from './platform/settings/settings.js';
import { PersistenceModule } from './platform/persistence/database.module.js';
import * as features from './features.js';
import { HealthModule } from './observability/health.module.js';
import { MailModule } from './platform/mail/mail.module.js';
import { MetricsModule } from './observability/metrics.module.js';
import { GeolocationModule } from './platform/geolocation/geolocation.module.js';
import { SecondFactorModule } from './auth/mfa/second-factor.module.js';
import { PendingActionsModule } from './sessions/pending-actions/pending-actions.module.js';
import { HttpModule } from './platform/http/http.module.js';
import { SessionGuard } from './sessions/check/session.guard.js';
import { SessionsModule } from './sessions/sessions.module.js';
import { CallerLimitGuard } from './platform/throttling/caller-limit.guard.js';
import { ThrottleGuard } from './platform/throttling/throttle.guard.js';
import { ThrottleModule } from './platform/throttling/throttle.module.js';
import { UsersModule } from './users/users.module.js';

/**
 * Every request passes these guards in this order, on every route: a route is closed unless a decorator opens it. The
 * cross-site guard comes first, so a forged cross-site request does not count against the victim's rate limits.
 */
const GUARDS = [CrossSiteGuard, ThrottleGuard, AccessGuard, CallerLimitGuard, SessionGuard, RolesGuard];

/** A feature whose controllers depend on the settings has a static `forRoot`. */
type Feature = Type & { forRoot?(settings: Settings): DynamicModule };

@Module({})
export class AppModule {
  static forRoot(settings: Settings, keys: Keys, replacements: Replacements = {}): DynamicModule {
    return {
      module: AppModule,
      imports: [
        SettingsModule.forRoot(settings, keys, replacements),
        HttpModule,
        PersistenceModule,
        replacements.isCommand ? CacheModule.forCommand(settings) : CacheModule,
        GeolocationModule,
        AuditModule,
        PendingActionsModule,
        MailModule.forRoot(settings),
        UsersModule,
        ThrottleModule,
        AttemptsModule,
        SessionsModule,
        SecondFactorModule,
        AuthModule,
        AccountsModule,
        AdminModule,
        HealthModule,
        MetricsModule,
        ...Object.values<Feature>(features).map((feature) => feature.forRoot?.(settings) ?? feature),
        ...(replacements.features ?? []),
      ],
      providers: GUARDS.map((guard) => ({ provide: APP_GUARD, useFactory: forRequests, inject: [guard] })),
    };
  }
}

/** A message of a WebSocket is no request. The admission of its connection decides, see `OpenConnection`. */
function forRequests(guard: CanActivate): CanActivate {
  return { canActivate: (context) => context.getType() === 'ws' || guard.canActivate(context) };
}
