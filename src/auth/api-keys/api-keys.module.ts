import { Module } from '@nestjs/common';
import { SessionsModule } from '../../sessions/sessions.module.js';
import { UsersModule } from '../../users/users.module.js';
import { DelegatesModule } from '../delegates/delegates.module.js';
import { ApiKeyFormat } from './api-key-format.js';
import { ApiKeyRepository } from './api-key.repository.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeysService } from './api-keys.service.js';
import { ApiKeyAdmission } from './check/api-key.admission.js';
import { ApiKeyCache } from './check/api-key-cache.js';
import { ApiKeyCheck } from './check/api-key-check.js';
import { ApiKeyUses } from './check/api-key-uses.js';
import { WrongKeys } from './check/wrong-keys.js';
import { LeakedKeysController } from './leaks/leaked-keys.controller.js';
import { LeakedKeysService } from './leaks/leaked-keys.service.js';
import { ScannerKeys } from './leaks/scanner-keys.js';

@Module({
  imports: [DelegatesModule, SessionsModule, UsersModule],
  controllers: [ApiKeysController, LeakedKeysController],
  providers: [
    ApiKeyAdmission,
    ApiKeyCache,
    ApiKeyCheck,
    ApiKeyFormat,
    ApiKeyRepository,
    ApiKeyUses,
    ApiKeysService,
    LeakedKeysService,
    ScannerKeys,
    WrongKeys,
  ],
  exports: [ApiKeyFormat, ApiKeysService],
})
export class ApiKeysModule {}
