import { Module } from '@nestjs/common';
import { PasskeyChallenges } from './passkey-challenges.js';
import { PasskeyRepository } from './passkey.repository.js';
import { UsedChallengeRepository } from './used-challenge.repository.js';

@Module({
  providers: [PasskeyChallenges, PasskeyRepository, UsedChallengeRepository],
  exports: [PasskeyChallenges, PasskeyRepository],
})
export class PasskeysModule {}
