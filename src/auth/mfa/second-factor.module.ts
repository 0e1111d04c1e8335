import { Module } from '@nestjs/common';
import { PasskeysModule } from '../passkeys/passkeys.module.js';
import { SessionsModule } from '../../sessions/sessions.module.js';
import { UsersModule } from '../../users/users.module.js';
import { LoginChallenges } from './login-challenges.js';
import { RecoveryCodes } from './recovery-codes.service.js';
import { SecretReencryptionJob } from './secret-reencryption.job.js';
import { EncryptedSecrets } from './encrypted-secrets.js';
import { MfaManagementService } from './mfa-management.service.js';
import { SecondFactors } from './second-factors.js';
import { TotpFactors } from './totp-factors.js';

@Module({
  imports: [PasskeysModule, SessionsModule, UsersModule],
  providers: [
    LoginChallenges,
    RecoveryCodes,
    SecretReencryptionJob,
    EncryptedSecrets,
    MfaManagementService,
    SecondFactors,
    TotpFactors,
  ],
  exports: [LoginChallenges, MfaManagementService, SecondFactors],
})
export class SecondFactorModule {}
