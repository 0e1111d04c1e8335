import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { ClientBase } from 'pg';
import { Repository, type EntityManager } from 'typeorm';
import type { RequestContext } from '../http/request.js';
import { AuditEvent } from './audit-event.entity.js';

/** An event to store. The database adds its number and its time. */
export interface NewAuditEvent {
  type: string;
  actorId?: string | null;
  userId?: string | null;
  sessionId?: string | null;
  context?: RequestContext | null;
  /** Must never contain a secret, a token, or the digest of one. */
  details?: Record<string, unknown>;
}

/** `from` is inclusive, `to` is exclusive. */
export interface AuditFilter {
  userId?: string;
  type?: string;
  from?: Date;
  to?: Date;
  /** Only events with a smaller id. */
  before?: string;
  limit: number;
}

/** All statements of the table `audit_events`, except those of the hash chain, which only read it. */
@Injectable()
export class AuditEventRepository {
  constructor(@InjectRepository(AuditEvent) private readonly events: Repository<AuditEvent>) {}

  async insert(tx: EntityManager, event: NewAuditEvent): Promise<void> {
    await tx.query(
      `insert into audit_events (type, actor_id, user_id, session_id, ip, user_agent, request_id, details)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        event.type,
        event.actorId ?? null,
        event.userId ?? null,
        event.sessionId ?? null,
        event.context?.ip ?? null,
        event.context?.userAgent ?? null,
        event.context?.requestId ?? null,
        JSON.stringify(event.details ?? {}),
      ],
    );
  }

  /** Inserts many events of one type, in one statement. */
  async insertAll(
    tx: EntityManager,
    type: string,
    events: Required<Pick<NewAuditEvent, 'userId' | 'sessionId' | 'details'>>[],
  ): Promise<void> {
    await tx.query(
      `insert into audit_events (type, user_id, session_id, details)
       select $1, "userId", "sessionId", details
       from jsonb_to_recordset($2) as event ("userId" uuid, "sessionId" uuid, details jsonb)`,
      [type, JSON.stringify(events)],
    );
  }

  /** The newest events first. */
  list({ userId, type, from, to, before, limit }: AuditFilter): Promise<AuditEvent[]> {
    const select = this.events.createQueryBuilder('event');
    if (userId) select.andWhere('event.userId = :userId', { userId });
    if (type) select.andWhere('event.type = :type', { type });
    if (from) select.andWhere('event.at >= :from', { from });
    if (to) select.andWhere('event.at < :to', { to });
    if (before) select.andWhere('event.id < :before', { before });
    return select.orderBy('event.id', 'DESC').take(limit).getMany();
  }
}

/**
 * Deletes the events of the seals that were made before the given time. A trigger refuses it outside of
 * `pruneAudit`.
 *
 * @returns how many events it deleted
 */
export async function deleteEventsSealedBefore(
  client: Pick<ClientBase, 'query'>,
  before: Date,
): Promise<number> {
  const { rowCount } = await client.query(
    `delete from audit_events e using audit_chain s
     where s.at < $1 and e.id >= lower(s.events) and e.id < upper(s.events) and e.id <@ s.events`,
    [before],
  );
  return rowCount ?? 0;
}
