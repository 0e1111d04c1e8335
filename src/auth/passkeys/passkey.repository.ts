import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';
import type { Assertion, Credential } from './webauthn/webauthn.js';

/** A passkey as stored. */
export interface Passkey extends Credential {
  id: string;
  userId: string;
  name: string;
  createdAt: Date;
  lastUsedAt: Date | null;
}

export type NewPasskey = Omit<Passkey, 'lastUsedAt'>;

const COLUMNS = `
  id, user_id as "userId", credential_id as "credentialId", public_key as "publicKey", sign_count::float8 as "signCount",
  transports, aaguid, backup_eligible as "backupEligible", backed_up as "backedUp", name,
  created_at as "createdAt", last_used_at as "lastUsedAt"`;

/**
 * Compare-and-set: a counter increases, or the authenticator does not count and it stays 0 (WebAuthn 6.1.1). The
 * copies of a synced passkey count separately, so their counters prove nothing.
 */
const USE = `
  update passkeys set sign_count = greatest(sign_count, $2), backed_up = $3, last_used_at = greatest(last_used_at, $4)
  where id = $1 and (backup_eligible or sign_count < $2 or (sign_count = 0 and $2 = 0))`;

/** All statements of the table `passkeys`. The services that use it check the permissions. */
@Injectable()
export class PasskeyRepository {
  constructor(
    private readonly database: DataSource,
    deletions: AccountDeletions,
  ) {
    deletions.register((tx, { id }) => this.removeAll(tx, id));
  }

  /** The user's passkeys, oldest first. */
  of(userId: string, tx: EntityManager = this.database.manager): Promise<Passkey[]> {
    return tx.query<Passkey[]>(`select ${COLUMNS} from passkeys where user_id = $1 order by created_at, id`, [
      userId,
    ]);
  }

  /** The number of the user's passkeys. */
  async count(tx: EntityManager, userId: string): Promise<number> {
    const [row] = await tx.query<{ count: number }[]>(
      'select count(*)::int as count from passkeys where user_id = $1',
      [userId],
    );
    return row!.count;
  }

  /** The passkey with this credential id, of any user. */
  async byCredential(
    credentialId: Buffer,
    tx: EntityManager = this.database.manager,
  ): Promise<Passkey | null> {
    const [found] = await tx.query<Passkey[]>(`select ${COLUMNS} from passkeys where credential_id = $1`, [
      credentialId,
    ]);
    return found ?? null;
  }

  /** @returns false when any user already has this credential */
  async add(tx: EntityManager, passkey: NewPasskey): Promise<boolean> {
    const added = await tx.query<unknown[]>(
      `insert into passkeys (id, user_id, credential_id, public_key, sign_count, transports, aaguid,
                             backup_eligible, backed_up, name, created_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing returning id`,
      [
        passkey.id,
        passkey.userId,
        passkey.credentialId,
        passkey.publicKey,
        passkey.signCount,
        passkey.transports,
        passkey.aaguid,
        passkey.backupEligible,
        passkey.backedUp,
        passkey.name,
        passkey.createdAt,
      ],
    );
    return added.length === 1;
  }

  /**
   * Records a use of the passkey.
   *
   * @returns false when the counter of a device-bound passkey does not increase, or the passkey was removed
   */
  async use(tx: EntityManager, id: string, { signCount, backedUp }: Assertion, now: Date): Promise<boolean> {
    const [, used] = await tx.query<[unknown, number]>(USE, [id, signCount, backedUp, now]);
    return used === 1;
  }

  /**
   * Leaves a passkey of another user unchanged, as if it did not exist. So do the methods below.
   *
   * @returns whether the user has this passkey
   */
  async rename(tx: EntityManager, userId: string, id: string, name: string): Promise<boolean> {
    const [, renamed] = await tx.query<[unknown, number]>(
      'update passkeys set name = $3 where id = $1 and user_id = $2',
      [id, userId, name],
    );
    return renamed === 1;
  }

  /** @returns how many passkeys it removed */
  async removeAll(tx: EntityManager, userId: string): Promise<number> {
    const [, removed] = await tx.query<[unknown, number]>('delete from passkeys where user_id = $1', [
      userId,
    ]);
    return removed;
  }

  /** @returns the name of the removed passkey; null when the user has no such passkey */
  async remove(tx: EntityManager, userId: string, id: string): Promise<string | null> {
    const [rows] = await tx.query<[{ name: string }[], number]>(
      'delete from passkeys where id = $1 and user_id = $2 returning name',
      [id, userId],
    );
    return rows[0]?.name ?? null;
  }
}
