import { Module } from '@nestjs/common';
import { PasskeysModule } from '../passkeys/passkeys.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { UsersModule } from '../users/users.module.js';
import { LoginChallenges } from './login-challenges.js';
import { RecoveryCodes } from './recovery-codes.service.js';
import { Resealing } from './resealing.js';
import { SealedSecrets } from './sealed-secrets.js';
import { SecondFactorChanges } from './second-factor-changes.js';
import { SecondFactors } from './second-factors.js';
import { TotpFactors } from './totp-factors.js';

@Module({
  imports: [PasskeysModule, SessionsModule, UsersModule],
  providers: [
    LoginChallenges,
    RecoveryCodes,
    Resealing,
    SealedSecrets,
    SecondFactorChanges,
    SecondFactors,
    TotpFactors,
  ],
  exports: [LoginChallenges, SecondFactorChanges, SecondFactors],
})
export class SecondFactorModule {}
