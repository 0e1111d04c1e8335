import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import type { ActorContext } from '../../platform/api/actor.decorator.js';
import { RevocationTransactions, UserTransactions } from '../../platform/persistence/user-transactions.js';
import { UserRepository } from '../../users/user.repository.js';
import type { Receipt } from '../revocation/receipt.js';
import { RevocationWriter } from '../revocation/revocation-writer.js';
import { RevocationService } from '../revocation/revocation.service.js';

export interface DeviceRecord {
  id: string;
  name: string;
  browser: string | null;
  os: string | null;
  /** IP address of the session on this device that was used last; null after the record of that session was removed. */
  ip: string | null;
  country: string | null;
  firstSeenAt: Date;
  lastSeenAt: Date;
}

/** A user never needs to look at more devices than this. */
const MAX_LISTED = 200;

const LIST = `
  select d.id, d.name, d.browser, d.os, host(s.ip) as ip, s.country, d.first_seen_at as "firstSeenAt",
         greatest(d.last_seen_at, s.last_seen_at) as "lastSeenAt"
  from devices d left join lateral (
    select ip, country, last_seen_at from sessions where device_id = d.id order by last_seen_at desc limit 1) s on true
  where d.user_id = $1 and ($2::uuid is null or d.id = $2)
  order by "lastSeenAt" desc, d.id limit ${MAX_LISTED}`;

/** Lists and renames the devices of a user, and ends the sessions on a device. */
@Injectable()
export class DevicesService {
  constructor(
    private readonly database: DataSource,
    private readonly transactions: UserTransactions,
    private readonly revoking: RevocationTransactions,
    private readonly users: UserRepository,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocations: RevocationService,
    private readonly audit: AuditService,
  ) {}

  /**
   * A user's devices, the last seen first.
   *
   * @param id if given, only this device
   */
  list(userId: string, id?: string): Promise<DeviceRecord[]> {
    return this.database.query<DeviceRecord[]>(LIST, [userId, id]);
  }

  /** Renames a device. If the device belongs to another user or does not exist, nothing changes. */
  async rename(userId: string, id: string, name: string, { actorId, context }: ActorContext): Promise<void> {
    const stale = await this.transactions.run(userId, async (tx) => {
      await this.users.lock(tx, userId);
      if (!(await this.isOf(tx, userId, id))) return null;
      await tx.query('update devices set name = $2 where id = $1', [id, name]);
      await this.audit.record(tx, {
        type: 'device_renamed',
        actorId,
        userId,
        context,
        details: { device: id },
      });
      return this.revocationWriter.markStale(tx, userId, 'device');
    });
    if (stale) await this.revocations.publish(stale);
  }

  /**
   * Ends all active sessions on one device.
   *
   * @returns null when the device does not belong to this user
   */
  async endSessions(userId: string, id: string, actor: ActorContext): Promise<Receipt | null> {
    const pending = await this.revoking.run(userId, async (tx) => {
      await this.users.lock(tx, userId);
      if (!(await this.isOf(tx, userId, id))) return null;
      const rows = await tx.query<{ id: string }[]>(
        `select id from sessions where device_id = $1 and status = 'active'`,
        [id],
      );
      const only = rows.map((session) => session.id);
      return this.revocationWriter.endSessions(
        tx,
        userId,
        { only },
        { ...actor, reason: 'logout', details: { device: id } },
      );
    });
    return pending && this.revocations.publish(pending);
  }

  private async isOf(tx: EntityManager, userId: string, id: string): Promise<boolean> {
    const found = await tx.query<unknown[]>('select from devices where id = $1 and user_id = $2', [
      id,
      userId,
    ]);
    return found.length > 0;
  }
}
