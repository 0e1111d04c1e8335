import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { ActorContext } from '../api/actor.decorator.js';
import type { AuditEvent } from './audit-event.entity.js';
import { AuditEventRepository, type AuditFilter, type NewAuditEvent } from './audit-event.repository.js';

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
export interface AuditEntry extends NewAuditEvent {
  type: AuditEventType;
}

/** Records audit events, and reads them for admins. */
@Injectable()
export class AuditService {
  constructor(
    private readonly database: DataSource,
    private readonly events: AuditEventRepository,
  ) {}

  /** Part of the caller's transaction: an action and its event commit together or not at all. */
  record(tx: EntityManager, entry: AuditEntry): Promise<void> {
    return this.events.insert(tx, entry);
  }

  /** Records many events of one type that no request caused, in one statement. */
  recordAll(
    tx: EntityManager,
    type: AuditEventType,
    events: Required<Pick<AuditEntry, 'userId' | 'sessionId' | 'details'>>[],
  ): Promise<void> {
    return this.events.insertAll(tx, type, events);
  }

  /**
   * Events for an admin to read, newest first. The read itself is recorded (ASVS 16.4.2); if that fails, the admin
   * gets no events.
   */
  async read(filter: AuditFilter, { actorId, context }: ActorContext): Promise<AuditEvent[]> {
    const events = await this.events.list(filter);
    const { limit: _limit, before: _before, ...asked } = filter;
    const details = { object: 'audit_events', ...asked };
    await this.record(this.database.manager, { type: 'sensitive_read', actorId, context, details });
    return events;
  }
}
