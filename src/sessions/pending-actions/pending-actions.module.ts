import { Global, Module } from '@nestjs/common';
import { PendingActionPolicy } from '../../platform/mail/pending-action.js';
import { PendingActions } from './pending-actions.service.js';

/** Global, so that modules that must not import the sessions module can inject {@link PendingActionPolicy}. */
@Global()
@Module({
  providers: [PendingActions, { provide: PendingActionPolicy, useExisting: PendingActions }],
  exports: [PendingActions, PendingActionPolicy],
})
export class PendingActionsModule {}
