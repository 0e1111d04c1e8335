import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AccountDeletions } from '../../platform/persistence/account-deletions.js';
import type { Prepared } from '../../platform/persistence/database.module.js';
import { epochMs as ms } from '../../sessions/check/session-parts.repository.js';
import type { CredentialEnd } from '../../sessions/credential-kinds.js';
import type { GrantSnapshot, StoredGrant } from './grant.js';

/**
 * The user and the end of everyone's sessions are asked as well: a grant must not work for a banned user, whatever its
 * own record says.
 */
const SNAPSHOT = `
  g.id, g.user_id as "userId", g.client_id as "clientId", g.client_name as "clientName", g.scopes,
  g.session_id as "sessionId", ${ms('g.created_at')} as "createdAt", ${ms('g.expires_at')} as "expiresAt",
  u.roles as "ownerRoles",
  case
    when g.status = 'ended' then json_build_object('reason', g.end_reason, 'at', ${ms('g.ended_at')})
    when u.deleted_at is not null then json_build_object('reason', 'account_deleted', 'at', ${ms('u.deleted_at')})
    when u.banned_at is not null and (u.banned_until is null or u.banned_until > clock_timestamp())
      then json_build_object('reason', 'ban', 'at', ${ms('u.banned_at')})
    when g.created_at <= e.not_before
      then json_build_object('reason', 'admin_everyone', 'at', ${ms('e.not_before')})
  end as ended`;

const TABLES = 'oauth_grants g join users u on u.id = g.user_id cross join session_epoch e';

/** For `BatchedReader`. */
export const READ_GRANTS: Prepared = {
  name: 'read grants',
  text: `
  select id, row_to_json(found)::text as text
  from (select ${SNAPSHOT} from ${TABLES} where g.id = any($1::uuid[])) found`,
};

/** A person never needs to see more. */
const MAX_LISTED = 1_000;

const LIST = `
  select ${SNAPSHOT}, ${ms('g.last_used_at')} as "lastUsedAt" from ${TABLES}
  where g.user_id = $1 and ($2::uuid is null or g.id = $2)
  order by g.created_at desc, g.id desc limit ${MAX_LISTED}`;

/** A new grant, as its user has given it. */
export type NewGrant = Pick<
  GrantSnapshot,
  'id' | 'userId' | 'clientId' | 'clientName' | 'scopes' | 'sessionId'
> & {
  createdAt: Date;
  expiresAt: Date;
};

/** All statements of the table `oauth_grants`. */
@Injectable()
export class GrantRepository {
  constructor(
    private readonly database: DataSource,
    deletions: AccountDeletions,
  ) {
    deletions.register((tx, { id }) => tx.query('delete from oauth_grants where user_id = $1', [id]));
  }

  /** The grants of a user, newest first; with `id` only this one. */
  list(userId: string, id: string | null = null): Promise<StoredGrant[]> {
    return this.database.query<StoredGrant[]>(LIST, [userId, id]);
  }

  /** The user of a grant, live or ended; null when the grant does not exist. */
  async ownerOf(id: string): Promise<string | null> {
    const [grant] = await this.database.query<{ user_id: string }[]>(
      'select user_id from oauth_grants where id = $1',
      [id],
    );
    return grant?.user_id ?? null;
  }

  async insert(tx: EntityManager, grant: NewGrant): Promise<void> {
    await tx.query(
      `insert into oauth_grants (id, user_id, client_id, client_name, scopes, session_id, created_at, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        grant.id,
        grant.userId,
        grant.clientId,
        grant.clientName,
        grant.scopes,
        grant.sessionId,
        grant.createdAt,
        grant.expiresAt,
      ],
    );
  }

  /** Locks a grant for a change. @returns null when it does not exist */
  async lock(
    tx: EntityManager,
    id: string,
  ): Promise<(GrantSnapshot & { revocationSeq: string | null }) | null> {
    const [grant] = await tx.query<(GrantSnapshot & { revocationSeq: string | null })[]>(
      `select ${SNAPSHOT}, g.revocation_seq as "revocationSeq" from ${TABLES} where g.id = $1 for update of g`,
      [id],
    );
    return grant ?? null;
  }

  /** Locks a grant against its end. @returns null when it does not exist */
  async share(tx: EntityManager, id: string): Promise<GrantSnapshot | null> {
    const [grant] = await tx.query<GrantSnapshot[]>(
      `select ${SNAPSHOT} from ${TABLES} where g.id = $1 for share of g`,
      [id],
    );
    return grant ?? null;
  }

  /** Locks the active grants of a user. @returns their ids */
  async lockActive(tx: EntityManager, userId: string): Promise<string[]> {
    const rows = await tx.query<{ id: string }[]>(
      `select id from oauth_grants where user_id = $1 and status = 'active' order by id for update`,
      [userId],
    );
    return rows.map(({ id }) => id);
  }

  /** Ends locked grants. Without their grant, the codes and refresh tokens of the app are refused. */
  async end(tx: EntityManager, ids: string[], { reason, at, seq }: CredentialEnd): Promise<void> {
    await tx.query(
      `update oauth_grants set status = 'ended', end_reason = $2, ended_at = $3, revocation_seq = $4 where id = any($1)`,
      [ids, reason, at, seq],
    );
  }

  /** Notes when an app got its last token. */
  async noteUse(id: string, at: Date): Promise<void> {
    await this.database.query(
      'update oauth_grants set last_used_at = greatest(last_used_at, $2) where id = $1',
      [id, at],
    );
  }

  /** Removes grants that ended or expired before an instant. @returns how many, at most `limit` */
  async removeOver(before: Date, limit: number): Promise<number> {
    const [, removed] = await this.database.query<[unknown, number]>(
      `delete from oauth_grants where id in (
         select id from oauth_grants where coalesce(ended_at, expires_at) < $1
         order by coalesce(ended_at, expires_at) limit $2 for update skip locked)`,
      [before, limit],
    );
    return removed;
  }
}
