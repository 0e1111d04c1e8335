import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { sha256 } from '../../../platform/runtime/sha256.js';

/** A record of the provider library, as it is stored. */
export interface OAuthRecord {
  payload: Record<string, unknown>;
  consumed_at: Date | null;
}

/** All statements of the table `oauth_records`. A record is found by its secret, of which only a digest is stored. */
@Injectable()
export class OAuthRecordRepository {
  constructor(private readonly database: DataSource) {}

  async save(
    model: string,
    secret: string,
    record: { grantId: string | null; payload: object; expiresAt: Date },
  ): Promise<void> {
    await this.database.query(
      `insert into oauth_records (model, digest, grant_id, payload, expires_at) values ($1, $2, $3, $4, $5)
       on conflict (model, digest) do update set payload = excluded.payload, expires_at = excluded.expires_at`,
      [model, sha256(secret), record.grantId, record.payload, record.expiresAt],
    );
  }

  async find(model: string, secret: string): Promise<OAuthRecord | null> {
    const [record] = await this.database.query<OAuthRecord[]>(
      'select payload, consumed_at from oauth_records where model = $1 and digest = $2',
      [model, sha256(secret)],
    );
    return record ?? null;
  }

  /**
   * Consumes a record once: of two requests at the same time, one succeeds.
   *
   * @param since also succeeds for a record that was consumed after this instant, for a client that has lost the answer
   * @returns whether it succeeded
   */
  async consume(model: string, secret: string, { now, since }: { now: Date; since: Date }): Promise<boolean> {
    const [, consumed] = await this.database.query<[unknown, number]>(
      `update oauth_records set consumed_at = coalesce(consumed_at, $3)
       where model = $1 and digest = $2 and (consumed_at is null or consumed_at > $4)`,
      [model, sha256(secret), now, since],
    );
    return consumed === 1;
  }

  async remove(model: string, secret: string): Promise<void> {
    await this.database.query('delete from oauth_records where model = $1 and digest = $2', [
      model,
      sha256(secret),
    ]);
  }

  /** Removes records that expired before an instant. @returns how many, at most `limit` */
  async removeOver(before: Date, limit: number): Promise<number> {
    const [, removed] = await this.database.query<[unknown, number]>(
      `delete from oauth_records where (model, digest) in (
         select model, digest from oauth_records where expires_at < $1
         order by expires_at limit $2 for update skip locked)`,
      [before, limit],
    );
    return removed;
  }
}
