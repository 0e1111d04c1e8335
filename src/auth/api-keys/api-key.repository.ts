import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';
import type { Prepared } from '../../platform/persistence/database.module.js';
import type { CredentialEnd } from '../../sessions/credential-kinds.js';
import type { Scope } from '../../scopes.js';
import { epochMs as ms } from '../../sessions/check/session-parts.repository.js';
import type { ApiKeySnapshot, StoredApiKey } from './api-key.js';

/** Facts about a key that are no secret. */
const FACTS = `
  k.id, k.user_id as "userId", k.name, k.scopes, k.networks, k.requests_per_minute as "requestsPerMinute",
  k.rotation, ${ms('k.rotated_at')} as "rotatedAt", ${ms('k.previous_until')} as "previousUntil",
  ${ms('k.created_at')} as "createdAt", ${ms('k.expires_at')} as "expiresAt", u.roles as "ownerRoles"`;

/** The owner is asked as well: a key must not work for a banned or deleted user, whatever its own record says. */
const SNAPSHOT = `
  ${FACTS}, encode(k.digest, 'base64') as digest, encode(k.previous_digest, 'base64') as "previousDigest",
  case
    when k.status = 'ended' then json_build_object('reason', k.end_reason, 'at', ${ms('k.ended_at')})
    when u.deleted_at is not null then json_build_object('reason', 'account_deleted', 'at', ${ms('u.deleted_at')})
    when u.banned_at is not null and (u.banned_until is null or u.banned_until > clock_timestamp())
      then json_build_object('reason', 'ban', 'at', ${ms('u.banned_at')})
  end as ended`;

const TABLES = 'api_keys k join users u on u.id = k.user_id';

/** For {@link BatchedReader}. */
export const READ_API_KEYS: Prepared = {
  name: 'read api keys',
  text: `
  select id, row_to_json(found)::text as text
  from (select ${SNAPSHOT} from ${TABLES} where k.id = any($1::uuid[])) found`,
};

/** A user cannot have more live keys. A reader never needs to see more ended ones. */
const MAX_LISTED = 1_000;

const LIST = `
  select ${FACTS}, k.status, k.end_reason as "endReason", ${ms('k.ended_at')} as "endedAt",
    (select ${ms('max(last_used_at)')} from api_key_uses where key_id = k.id) as "lastUsedAt",
    (select coalesce(json_agg(json_build_object('network', network, 'lastUsedAt', ${ms('last_used_at')})
                              order by last_used_at desc), '[]')
     from api_key_uses where key_id = k.id and rotation < k.rotation) as "previousUses"
  from ${TABLES} where k.user_id = $1 and ($2::uuid is null or k.id = $2)
  order by k.created_at desc, k.id desc limit ${MAX_LISTED}`;

/** A new key, as its owner has chosen it. */
export type NewApiKey = Pick<
  ApiKeySnapshot,
  'id' | 'userId' | 'name' | 'networks' | 'requestsPerMinute' | 'digest'
> & {
  scopes: readonly Scope[];
  createdAt: Date;
  expiresAt: Date | null;
};

/** All statements of the table `api_keys`. Those that save uses are in `check/api-key-use.repository.ts`. */
@Injectable()
export class ApiKeyRepository {
  constructor(
    private readonly database: DataSource,
    deletions: AccountDeletions,
  ) {
    deletions.register((tx, { id }) => tx.query('delete from api_keys where user_id = $1', [id]));
  }

  /** The keys of a user, newest first; with `id` only this one. */
  list(userId: string, id: string | null = null): Promise<StoredApiKey[]> {
    return this.database.query<StoredApiKey[]>(LIST, [userId, id]);
  }

  /** The user of a key, live or ended; null when the key does not exist. */
  async ownerOf(id: string, database: Pick<EntityManager, 'query'> = this.database): Promise<string | null> {
    const [key] = await database.query<{ user_id: string }[]>('select user_id from api_keys where id = $1', [
      id,
    ]);
    return key?.user_id ?? null;
  }

  /** The number of keys of a user that are live at an instant. */
  async countLive(tx: EntityManager, userId: string, now: Date): Promise<number> {
    const [row] = await tx.query<{ count: number }[]>(
      `select count(*)::int as count from api_keys
       where user_id = $1 and status = 'active' and (expires_at is null or expires_at > $2)`,
      [userId, now],
    );
    return row!.count;
  }

  async insert(tx: EntityManager, key: NewApiKey): Promise<void> {
    await tx.query(
      `insert into api_keys (id, user_id, name, scopes, networks, requests_per_minute, digest, created_at, expires_at)
       values ($1, $2, $3, $4, $5, $6, decode($7, 'base64'), $8, $9)`,
      [
        key.id,
        key.userId,
        key.name,
        key.scopes,
        key.networks,
        key.requestsPerMinute,
        key.digest,
        key.createdAt,
        key.expiresAt,
      ],
    );
  }

  /** Locks a key for a change. @returns null when it does not exist */
  async lock(
    tx: EntityManager,
    id: string,
  ): Promise<(ApiKeySnapshot & { revocationSeq: string | null }) | null> {
    const [key] = await tx.query<(ApiKeySnapshot & { revocationSeq: string | null })[]>(
      `select ${SNAPSHOT}, k.revocation_seq as "revocationSeq" from ${TABLES} where k.id = $1 for update of k`,
      [id],
    );
    return key ?? null;
  }

  /** Locks a key against its end and its rotation. @returns null when it does not exist */
  async share(tx: EntityManager, id: string): Promise<ApiKeySnapshot | null> {
    const [key] = await tx.query<ApiKeySnapshot[]>(
      `select ${SNAPSHOT} from ${TABLES} where k.id = $1 for share of k`,
      [id],
    );
    return key ?? null;
  }

  /** Replaces the secret of a locked key. @param previousUntil null ends the former secret at once */
  async rotate(
    tx: EntityManager,
    id: string,
    { digest, at, previousUntil }: { digest: string; at: Date; previousUntil: Date | null },
  ): Promise<void> {
    await tx.query(
      `update api_keys set digest = decode($2, 'base64'), rotation = rotation + 1, rotated_at = $3,
         previous_digest = case when $4::timestamptz is not null then digest end, previous_until = $4
       where id = $1`,
      [id, digest, at, previousUntil],
    );
  }

  /** Locks the active keys of a user. @returns their ids */
  async lockActive(tx: EntityManager, userId: string): Promise<string[]> {
    const rows = await tx.query<{ id: string }[]>(
      `select id from api_keys where user_id = $1 and status = 'active' order by id for update`,
      [userId],
    );
    return rows.map(({ id }) => id);
  }

  /** The ids of the active keys of a user. */
  async activeOf(tx: EntityManager, userId: string): Promise<string[]> {
    const rows = await tx.query<{ id: string }[]>(
      `select id from api_keys where user_id = $1 and status = 'active'`,
      [userId],
    );
    return rows.map(({ id }) => id);
  }

  /** The ids of the keys of a user that these revocations ended. */
  async endedBy(tx: EntityManager, userId: string, seqs: string[]): Promise<string[]> {
    const rows = await tx.query<{ id: string }[]>(
      'select id from api_keys where user_id = $1 and revocation_seq = any($2)',
      [userId, seqs],
    );
    return rows.map(({ id }) => id);
  }

  /** Ends locked keys. */
  async end(tx: EntityManager, ids: string[], { reason, at, seq }: CredentialEnd): Promise<void> {
    await tx.query(
      `update api_keys set status = 'ended', end_reason = $2, ended_at = $3, revocation_seq = $4 where id = any($1)`,
      [ids, reason, at, seq],
    );
  }

  /** Removes keys that ended or expired before an instant. @returns how many, at most `limit` */
  async removeOver(before: Date, limit: number): Promise<number> {
    const [, removed] = await this.database.query<[unknown, number]>(
      `delete from api_keys where id in (
         select id from api_keys where coalesce(ended_at, expires_at) < $1
         order by coalesce(ended_at, expires_at) limit $2 for update skip locked)`,
      [before, limit],
    );
    return removed;
  }
}
