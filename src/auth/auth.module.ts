import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { PassportModule } from '@nestjs/passport';
import { SessionsModule } from '../sessions/sessions.module.js';
import { UsersModule } from '../users/users.module.js';
import { AccessGuard } from './access.guard.js';
import { AccessTokens } from './access-tokens.js';
import { AuthController } from './auth.controller.js';
import { CrossSiteGuard } from './cross-site.guard.js';
import { Grants } from './grants.js';
import { JwksController } from './jwks.controller.js';
import { JwtStrategy } from './jwt.strategy.js';
import { KeyRing } from './key-ring.js';
import { LoginService } from './login.service.js';
import { PasswordsService } from './passwords.service.js';
import { RolesGuard } from './roles.guard.js';
import { RouteAudit } from './route-audit.js';

@Module({
  imports: [DiscoveryModule, PassportModule, SessionsModule, UsersModule],
  controllers: [AuthController, JwksController],
  providers: [
    AccessGuard,
    AccessTokens,
    CrossSiteGuard,
    Grants,
    JwtStrategy,
    KeyRing,
    LoginService,
    PasswordsService,
    RolesGuard,
    RouteAudit,
  ],
  exports: [AccessGuard, CrossSiteGuard, PasswordsService, RolesGuard],
})
export class AuthModule {}
