import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { UsersModule } from '../users/users.module.js';
import { DenialList } from './denial-list.js';
import { DeviceListService } from './device-list.service.js';
import { Device } from './device.entity.js';
import { DevicesController } from './devices.controller.js';
import { DevicesService } from './devices.service.js';
import { HousekeepingService } from './housekeeping.service.js';
import { KeyDelivery } from './key-delivery.js';
import { LastSeenService } from './last-seen.service.js';
import { RefreshService } from './refresh.service.js';
import { RekeyService } from './rekey.service.js';
import { RevocationFeed } from './revocation-feed.js';
import { Revocation } from './revocation.entity.js';
import { RevocationLog } from './revocation-log.js';
import { RevocationRelay } from './revocation-relay.js';
import { RevocationService } from './revocation.service.js';
import { SessionCheck } from './session-check.js';
import { SessionHold } from './held-session.js';
import { SessionFence } from './session-fence.js';
import { SessionReader } from './session-reader.js';
import { Session } from './session.entity.js';
import { SessionGuard } from './session.guard.js';
import { SessionsController } from './sessions.controller.js';
import { SessionsService } from './sessions.service.js';
import { StepUp } from './step-up.service.js';
import { SuspicionService } from './suspicion.service.js';
import { VerdictCache } from './verdict-cache.js';

@Module({
  imports: [TypeOrmModule.forFeature([Session, Device, Revocation]), UsersModule],
  controllers: [DevicesController, SessionsController],
  providers: [
    DenialList,
    DeviceListService,
    DevicesService,
    HousekeepingService,
    KeyDelivery,
    LastSeenService,
    RefreshService,
    RekeyService,
    RevocationFeed,
    RevocationLog,
    RevocationRelay,
    RevocationService,
    SessionCheck,
    SessionFence,
    SessionGuard,
    SessionHold,
    SessionReader,
    SessionsService,
    StepUp,
    SuspicionService,
    VerdictCache,
  ],
  exports: [
    DevicesService,
    DenialList,
    LastSeenService,
    RefreshService,
    RekeyService,
    RevocationFeed,
    RevocationLog,
    RevocationRelay,
    RevocationService,
    SessionCheck,
    SessionFence,
    SessionGuard,
    SessionsService,
    StepUp,
    VerdictCache,
  ],
})
export class SessionsModule {}
