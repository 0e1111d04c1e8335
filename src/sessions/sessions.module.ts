import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { UsersModule } from '../users/users.module.js';
import { CheckTimings } from './check/check-timings.js';
import { ClaimsService } from './claims.service.js';
import { CredentialKinds } from './credential-kinds.js';
import { DenialList } from './revocation/denial-list.js';
import { DevicesService } from './devices/devices.service.js';
import { Device } from './devices/device.entity.js';
import { DevicesController } from './devices/devices.controller.js';
import { DeviceRecognition } from './devices/device-recognition.js';
import { SessionCleanupJob } from './cleanup/session-cleanup.job.js';
import { KeyDelivery } from './refresh/key-delivery.js';
import { LastSeenService } from './check/last-seen.service.js';
import { RefreshRefusals } from './refresh/refresh-refusals.service.js';
import { RefreshService } from './refresh/refresh.service.js';
import { CredentialChangeService } from './refresh/credential-change.service.js';
import { LostRevocations } from './revocation/lost-revocations.js';
import { RevocationSubscriber } from './revocation/revocation-subscriber.js';
import { Revocation } from './revocation/revocation.entity.js';
import { RevocationWriter } from './revocation/revocation-writer.js';
import { RevocationDispatcher } from './revocation/revocation-dispatcher.js';
import { RevocationService } from './revocation/revocation.service.js';
import { BindingTokens } from './binding/binding-tokens.js';
import { SessionBindings } from './binding/session-bindings.service.js';
import { UsedDeviceProofRepository } from './binding/used-device-proof.repository.js';
import { SessionCheck } from './check/session-check.js';
import { SessionRepository } from './session.repository.js';
import { SessionFence } from './session-fence.js';
import { SessionReader } from './check/session-reader.js';
import { Session } from './session.entity.js';
import { SessionGuard } from './check/session.guard.js';
import { SessionsController } from './sessions.controller.js';
import { SessionsService } from './sessions.service.js';
import { StepUpService } from './refresh/step-up.service.js';
import { SessionRiskService } from './risk/session-risk.service.js';
import { SessionCache } from './check/session-cache.js';

@Global()
@Module({
  imports: [TypeOrmModule.forFeature([Session, Device, Revocation]), UsersModule],
  controllers: [DevicesController, SessionsController],
  providers: [
    CheckTimings,
    ClaimsService,
    CredentialKinds,
    DenialList,
    DevicesService,
    DeviceRecognition,
    SessionCleanupJob,
    KeyDelivery,
    LastSeenService,
    RefreshRefusals,
    RefreshService,
    CredentialChangeService,
    LostRevocations,
    RevocationSubscriber,
    RevocationWriter,
    RevocationDispatcher,
    RevocationService,
    BindingTokens,
    SessionBindings,
    UsedDeviceProofRepository,
    SessionCheck,
    SessionFence,
    SessionGuard,
    SessionRepository,
    SessionReader,
    SessionsService,
    StepUpService,
    SessionRiskService,
    SessionCache,
  ],
  exports: [
    CheckTimings,
    ClaimsService,
    CredentialKinds,
    DeviceRecognition,
    DenialList,
    LastSeenService,
    RefreshService,
    CredentialChangeService,
    RevocationSubscriber,
    RevocationWriter,
    RevocationDispatcher,
    RevocationService,
    BindingTokens,
    UsedDeviceProofRepository,
    SessionBindings,
    SessionCheck,
    SessionFence,
    SessionGuard,
    SessionReader,
    SessionsService,
    StepUpService,
    SessionCache,
  ],
})
export class SessionsModule {}
