import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { PassportModule } from '@nestjs/passport';
import { PasskeysModule } from '../passkeys/passkeys.module.js';
import { SecondFactorModule } from '../second-factor/second-factor.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { UsersModule } from '../users/users.module.js';
import { AccountErrands } from './account-errands.js';
import { AccountMail } from './account-mail.service.js';
import { AccessGuard } from './access.guard.js';
import { AccessTokens } from './access-tokens.js';
import { AuthController } from './auth.controller.js';
import { BreachedPasswords } from './breached-passwords.js';
import { CrossSiteGuard } from './cross-site.guard.js';
import { EmailController } from './email.controller.js';
import { EmailService } from './email.service.js';
import { Entrance } from './entrance.service.js';
import { Grants } from './grants.js';
import { JwksController } from './jwks.controller.js';
import { JwtStrategy } from './jwt.strategy.js';
import { KeyRing } from './key-ring.js';
import { LoginService } from './login.service.js';
import { LogoutService } from './logout.service.js';
import { PasskeyChangesService } from './passkey-changes.service.js';
import { PasskeyLoginController } from './passkey-login.controller.js';
import { PasskeyLoginService } from './passkey-login.service.js';
import { PasskeyProofs } from './passkey-proofs.js';
import { PasskeysController } from './passkeys.controller.js';
import { PasswordHasher } from './password-hasher.js';
import { PasswordChangeService } from './password-change.service.js';
import { PasswordPolicy } from './password-policy.js';
import { PasswordResetService } from './password-reset.service.js';
import { PasswordController } from './password.controller.js';
import { PasswordsService } from './passwords.service.js';
import { ReauthenticationService } from './reauthentication.service.js';
import { RegistrationService } from './registration.service.js';
import { RolesGuard } from './roles.guard.js';
import { RouteAudit } from './route-audit.js';
import { SecondFactorController } from './second-factor.controller.js';
import { SecondStep } from './second-step.service.js';

@Module({
  imports: [DiscoveryModule, PassportModule, PasskeysModule, SecondFactorModule, SessionsModule, UsersModule],
  controllers: [
    AuthController,
    SecondFactorController,
    PasskeyLoginController,
    PasskeysController,
    PasswordController,
    EmailController,
    JwksController,
  ],
  providers: [
    AccessGuard,
    AccessTokens,
    AccountErrands,
    AccountMail,
    BreachedPasswords,
    CrossSiteGuard,
    EmailService,
    Entrance,
    Grants,
    JwtStrategy,
    KeyRing,
    LoginService,
    LogoutService,
    PasskeyChangesService,
    PasskeyLoginService,
    PasskeyProofs,
    PasswordChangeService,
    PasswordHasher,
    PasswordPolicy,
    PasswordResetService,
    PasswordsService,
    ReauthenticationService,
    RegistrationService,
    RolesGuard,
    RouteAudit,
    SecondStep,
  ],
  exports: [AccessGuard, CrossSiteGuard, PasswordsService, RolesGuard],
})
export class AuthModule {}
