import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository, type EntityManager } from 'typeorm';
import type { ActorContext } from '../api/actor.decorator.js';
import type { RequestContext } from '../http/request.js';
import { AuditEvent } from './audit-event.entity.js';

/** Event names follow the OWASP logging vocabulary where it has one. */
export type AuditEventType =
  | 'user_created'
  | 'user_updated'
  | 'user_deleted'
  | 'user_banned'
  | 'user_ban_lifted'
  | 'privilege_permissions_changed'
  | 'authn_login_success'
  | 'authn_login_successafterfail'
  | 'authn_login_fail'
  | 'authn_login_fail_max'
  | 'authn_reauthenticated'
  | 'authn_reauthentication_voided'
  | 'authn_second_factor_asked'
  | 'authn_second_factor_fail'
  | 'authn_second_factor_added'
  | 'authn_second_factor_removed'
  | 'authn_second_factor_reset'
  | 'authn_recovery_codes_renewed'
  | 'authn_recovery_code_used'
  | 'authn_password_change'
  | 'authn_password_change_fail'
  | 'authn_password_reset_requested'
  | 'authn_password_reset'
  | 'email_verified'
  | 'email_change_requested'
  | 'email_changed'
  | 'authn_passkey_added'
  | 'authn_passkey_renamed'
  | 'authn_passkey_removed'
  | 'authn_passkey_cloned'
  | 'authn_token_reuse'
  | 'authn_token_unknown'
  | 'authn_token_revoked'
  | 'device_renamed'
  | 'session_ended'
  | 'session_suspicious'
  | 'session_expired'
  | 'sessions_ended'
  | 'sessions_ended_everywhere'
  | 'excess_rate_limit_exceeded'
  | 'sensitive_read';

/** An event to record. */
export interface AuditEntry {
  type: AuditEventType;
  actorId?: string | null;
  userId?: string | null;
  sessionId?: string | null;
  context?: RequestContext | null;
  /** Must never contain a secret, a token, or the digest of one. */
  details?: Record<string, unknown>;
}

/** Filters of {@link AuditService.read}. `from` is inclusive, `to` is exclusive. */
export interface AuditFilter {
  userId?: string;
  type?: string;
  from?: Date;
  to?: Date;
  /** Only events with a smaller id. */
  before?: string;
  limit: number;
}

/** Records audit events, and reads them for admins. */
@Injectable()
export class AuditService {
  constructor(@InjectRepository(AuditEvent) private readonly events: Repository<AuditEvent>) {}

  /** Part of the caller's transaction: an action and its event commit together or not at all. */
  async record(tx: EntityManager, entry: AuditEntry): Promise<void> {
    await tx.query(
      `insert into audit_events (type, actor_id, user_id, session_id, ip, user_agent, request_id, details)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        entry.type,
        entry.actorId ?? null,
        entry.userId ?? null,
        entry.sessionId ?? null,
        entry.context?.ip ?? null,
        entry.context?.userAgent ?? null,
        entry.context?.requestId ?? null,
        JSON.stringify(entry.details ?? {}),
      ],
    );
  }

  /** Records many events of one type that no request caused, in one statement. */
  async recordAll(
    tx: EntityManager,
    type: AuditEventType,
    events: Required<Pick<AuditEntry, 'userId' | 'sessionId' | 'details'>>[],
  ): Promise<void> {
    await tx.query(
      `insert into audit_events (type, user_id, session_id, details)
       select $1, "userId", "sessionId", details
       from jsonb_to_recordset($2) as event ("userId" uuid, "sessionId" uuid, details jsonb)`,
      [type, JSON.stringify(events)],
    );
  }

  /**
   * Events for an admin to read, newest first. The read itself is recorded (ASVS 16.4.2); if that fails, the admin
   * gets no events.
   */
  async read(filter: AuditFilter, { actorId, context }: ActorContext): Promise<AuditEvent[]> {
    const events = await this.list(filter);
    const { limit: _limit, before: _before, ...asked } = filter;
    const details = { object: 'audit_events', ...asked };
    await this.record(this.events.manager, { type: 'sensitive_read', actorId, context, details });
    return events;
  }

  private list({ userId, type, from, to, before, limit }: AuditFilter): Promise<AuditEvent[]> {
    const select = this.events.createQueryBuilder('event');
    if (userId) select.andWhere('event.userId = :userId', { userId });
    if (type) select.andWhere('event.type = :type', { type });
    if (from) select.andWhere('event.at >= :from', { from });
    if (to) select.andWhere('event.at < :to', { to });
    if (before) select.andWhere('event.id < :before', { before });
    return select.orderBy('event.id', 'DESC').take(limit).getMany();
  }
}
