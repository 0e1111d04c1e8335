import { Module, type OnModuleInit } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, HttpAdapterHost } from '@nestjs/core';
import { PassportModule } from '@nestjs/passport';
import type { FastifyInstance } from 'fastify';
import { ApiKeysModule } from './api-keys/api-keys.module.js';
import { DelegatesModule } from './delegates/delegates.module.js';
import { BoundCookieResponder } from './device-binding/bound-cookie-responder.js';
import { DeviceBindingController } from './device-binding/device-binding.controller.js';
import { DpopNonces } from './device-binding/dpop-nonces.js';
import { DpopProofs } from './device-binding/dpop-proofs.service.js';
import { KeyProofPipe } from './device-binding/proven-credentials.js';
import { BackchannelLogout } from './social/backchannel-logout.js';
import { GlobalRevocationController } from './social/revocation/global-revocation.controller.js';
import { GlobalRevocationService } from './social/revocation/global-revocation.service.js';
import { RevocationTokenVerifier } from './social/revocation/revocation-token.verifier.js';
import { UsedRevocationTokenRepository } from './social/revocation/used-revocation-token.repository.js';
import { IdentitiesService } from './social/identities.service.js';
import { IdentityRepository } from './social/identity.repository.js';
import { SocialClients } from './social/social-clients.js';
import { SocialController } from './social/social.controller.js';
import { SocialFlow } from './social/social-flow.js';
import { SocialLoginService } from './social/social-login.service.js';
import { SocialState } from './social/social-state.js';
import { Admissions } from './open-connections/admissions.service.js';
import { guardEventStreams } from './open-connections/event-streams.js';
import { OpenConnections } from './open-connections/open-connections.service.js';
import { WebSocketAdapter } from './open-connections/web-socket.adapter.js';
import { PasskeysModule } from './passkeys/passkeys.module.js';
import { SecondFactorModule } from './mfa/second-factor.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { UsersModule } from '../users/users.module.js';
import { AccountJobQueue } from './registration/account-job-queue.js';
import { AccountJobRepository } from './registration/account-job.repository.js';
import { AccountMailService } from './registration/account-mail.service.js';
import { HttpModule } from '../platform/http/http.module.js';
import { Settings } from '../platform/settings/settings.js';
import { AccessGuard } from './guards/access.guard.js';
import { decorateCredentials } from './guards/credentials.js';
import { AccessTokens } from './tokens/access-tokens.js';
import { AuthController } from './login/auth.controller.js';
import { FeedFollowersModule } from './revocation-feed/feed-followers.module.js';
import { FeedStatements } from './revocation-feed/feed-statements.js';
import { RevocationFeed } from './revocation-feed/revocation-feed.service.js';
import { RevocationFeedController } from './revocation-feed/revocation-feed.controller.js';
import { BreachedPasswords } from './passwords/breached-passwords.js';
import { CrossSiteGuard } from './guards/cross-site.guard.js';
import { EmailController } from './registration/email.controller.js';
import { EmailService } from './registration/email.service.js';
import { SessionIssuer } from './login/session-issuer.service.js';
import { TokenResponder } from './login/token-responder.js';
import { JwksController } from './tokens/jwks.controller.js';
import { AccessAuthenticator } from './tokens/access-authenticator.js';
import { JwtStrategy } from './tokens/jwt.strategy.js';
import { KeyRing } from './tokens/key-ring.js';
import { LoginService } from './login/login.service.js';
import { LogoutService } from './login/logout.service.js';
import { PasskeyEnrolmentService } from './passkeys/passkey-enrolment.service.js';
import { PasskeyManagementService } from './passkeys/passkey-management.service.js';
import { PasskeyLoginController } from './passkeys/passkey-login.controller.js';
import { PasskeyLoginService } from './passkeys/passkey-login.service.js';
import { PasskeyVerifier } from './passkeys/passkey-proofs.js';
import { PasskeysController } from './passkeys/passkeys.controller.js';
import { PasswordHasher } from './passwords/password-hasher.js';
import { PasswordChangeService } from './passwords/password-change.service.js';
import { PasswordPolicy } from './passwords/password-policy.js';
import { AdminInvitations } from './passwords/admin-invitations.js';
import { PasswordResetService } from './passwords/password-reset.service.js';
import { PasswordController } from './passwords/password.controller.js';
import { PasswordsService } from './passwords/passwords.service.js';
import { ReauthenticationService } from './login/reauthentication.service.js';
import { RegistrationService } from './registration/registration.service.js';
import { RolesGuard } from './guards/roles.guard.js';
import { RouteDecoratorsCheck } from './guards/route-decorators.check.js';
import { SecondFactorController } from './mfa/second-factor.controller.js';
import { MfaLoginService } from './mfa/mfa-login.service.js';

@Module({
  imports: [
    ApiKeysModule,
    DelegatesModule,
    DiscoveryModule,
    FeedFollowersModule,
    HttpModule,
    PassportModule,
    PasskeysModule,
    SecondFactorModule,
    SessionsModule,
    UsersModule,
  ],
  controllers: [
    AuthController,
    SecondFactorController,
    PasskeyLoginController,
    PasskeysController,
    PasswordController,
    EmailController,
    JwksController,
    RevocationFeedController,
    SocialController,
    GlobalRevocationController,
    DeviceBindingController,
  ],
  providers: [
    AccessGuard,
    Admissions,
    AccessTokens,
    AccountJobQueue,
    AccountJobRepository,
    AccountMailService,
    BackchannelLogout,
    BoundCookieResponder,
    DpopNonces,
    DpopProofs,
    KeyProofPipe,
    BreachedPasswords,
    CrossSiteGuard,
    EmailService,
    GlobalRevocationService,
    FeedStatements,
    IdentitiesService,
    IdentityRepository,
    RevocationTokenVerifier,
    SocialClients,
    SocialFlow,
    SocialLoginService,
    SocialState,
    UsedRevocationTokenRepository,
    SessionIssuer,
    TokenResponder,
    AccessAuthenticator,
    JwtStrategy,
    KeyRing,
    LoginService,
    LogoutService,
    OpenConnections,
    PasskeyEnrolmentService,
    PasskeyManagementService,
    PasskeyLoginService,
    PasskeyVerifier,
    PasswordChangeService,
    PasswordHasher,
    PasswordPolicy,
    AdminInvitations,
    PasswordResetService,
    PasswordsService,
    ReauthenticationService,
    RegistrationService,
    RevocationFeed,
    RolesGuard,
    RouteDecoratorsCheck,
    WebSocketAdapter,
    MfaLoginService,
  ],
  exports: [AccessGuard, CrossSiteGuard, PasswordsService, RolesGuard],
})
export class AuthModule implements OnModuleInit {
  constructor(
    private readonly host: HttpAdapterHost,
    private readonly settings: Settings,
    private readonly connections: OpenConnections,
    discovery: DiscoveryService,
  ) {
    // Nest registers routes before any hook of a module.
    guardEventStreams(discovery);
  }

  onModuleInit(): void {
    const fastify = this.host.httpAdapter.getInstance<FastifyInstance>();
    decorateCredentials(fastify, this.settings);
    fastify.decorate<OpenConnections>('openConnections', this.connections);
  }
}
