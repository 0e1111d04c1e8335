import { Module } from '@nestjs/common';
import { PasskeyChallenges } from './passkey-challenges.js';
import { PasskeysService } from './passkeys.service.js';

@Module({
  providers: [PasskeyChallenges, PasskeysService],
  exports: [PasskeyChallenges, PasskeysService],
})
export class PasskeysModule {}
