import { Module } from '@nestjs/common';
import { PasskeysModule } from '../passkeys/passkeys.module.js';
import { SessionsModule } from '../../sessions/sessions.module.js';
import { UsersModule } from '../../users/users.module.js';
import { LoginChallengeRepository } from './login-challenge.repository.js';
import { LoginChallenges } from './login-challenges.js';
import { RecoveryCodeRepository } from './recovery-code.repository.js';
import { SecretReencryptionJob } from './totp/secret-reencryption.job.js';
import { EncryptedSecrets } from './totp/encrypted-secrets.js';
import { MfaManagementService } from './mfa-management.service.js';
import { MfaResetService } from './mfa-reset.service.js';
import { SecondFactors } from './second-factors.js';
import { TotpFactors } from './totp/totp-factors.js';
import { TotpRepository } from './totp/totp.repository.js';

@Module({
  imports: [PasskeysModule, SessionsModule, UsersModule],
  providers: [
    LoginChallengeRepository,
    LoginChallenges,
    RecoveryCodeRepository,
    SecretReencryptionJob,
    EncryptedSecrets,
    MfaManagementService,
    MfaResetService,
    SecondFactors,
    TotpFactors,
    TotpRepository,
  ],
  exports: [LoginChallenges, MfaManagementService, MfaResetService, SecondFactors],
})
export class SecondFactorModule {}
