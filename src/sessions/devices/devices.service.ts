import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';
import type { ActorContext } from '../../platform/api/actor.decorator.js';
import { UserRepository } from '../../users/user.repository.js';
import type { Receipt } from '../revocation/receipt.js';
import { RevocationWriter, type RevocationTx } from '../revocation/revocation-writer.js';
import { RevocationService } from '../revocation/revocation.service.js';
import { activeSessionsOn } from '../revocation/session-end.repository.js';
import {
  isDeviceOf,
  leaveDevicesBehind,
  listDevices,
  renameDevice,
  type DeviceRecord,
} from './device.repository.js';

/** Lists and renames the devices of a user, and ends the sessions on a device. */
@Injectable()
export class DevicesService {
  constructor(
    private readonly database: DataSource,
    private readonly users: UserRepository,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocations: RevocationService,
    private readonly audit: AuditService,
    deletions: AccountDeletions,
  ) {
    deletions.register((tx, { id }) => leaveDevicesBehind(tx, id));
  }

  /**
   * A user's devices, the last seen first.
   *
   * @param id if given, only this device
   */
  list(userId: string, id?: string): Promise<DeviceRecord[]> {
    return listDevices(this.database, userId, id);
  }

  /** Renames a device. If the device belongs to another user or does not exist, nothing changes. */
  async rename(userId: string, id: string, name: string, { actorId, context }: ActorContext): Promise<void> {
    await this.revocations.commit(userId, async (tx) => {
      await this.users.lock(tx, userId);
      if (!(await isDeviceOf(tx, userId, id))) return;
      await renameDevice(tx, id, name);
      await this.audit.record(tx, {
        type: 'device_renamed',
        actorId,
        userId,
        context,
        details: { device: id },
      });
      await this.revocationWriter.markStale(tx, userId, 'device');
    });
  }

  /**
   * Ends all active sessions on one device.
   *
   * @returns null when the device does not belong to this user
   */
  endSessions(userId: string, id: string, actor: ActorContext): Promise<Receipt | null> {
    const work = async (tx: RevocationTx) => {
      await this.users.lock(tx, userId);
      if (!(await isDeviceOf(tx, userId, id))) return null;
      const only = await activeSessionsOn(tx, id);
      return this.revocationWriter.endSessions(
        tx,
        userId,
        { only },
        { ...actor, reason: 'logout', details: { device: id } },
      );
    };
    return this.revocations.commit(userId, work, { reserved: true });
  }
}
