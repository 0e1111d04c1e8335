import { Injectable } from '@nestjs/common';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';

/** Marks the devices of a deleted account. Housekeeping removes each when no session record refers to it. */
@Injectable()
export class DeviceDeletion {
  constructor(deletions: AccountDeletions) {
    deletions.register((tx, { id }) =>
      tx.query(
        'insert into devices_left_behind select id from devices where user_id = $1 on conflict do nothing',
        [id],
      ),
    );
  }
}
