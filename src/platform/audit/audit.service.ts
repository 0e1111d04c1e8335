import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { ActorContext } from '../api/actor.decorator.js';
import type { AuditEvent } from './audit-event.entity.js';
import { AuditEventRepository, type AuditFilter, type NewAuditEvent } from './audit-event.repository.js';
import type { AuditEventType } from './audit-event-types.js';

/** An event to record. */
export interface AuditEntry extends NewAuditEvent {
  type: AuditEventType;
}

/** Records audit events, and reads them for admins. */
@Injectable()
export class AuditService {
  /** How many events of each type this instance has written, with those of transactions that were rolled back. */
  readonly counts = new Map<string, number>();

  constructor(
    private readonly database: DataSource,
    private readonly events: AuditEventRepository,
  ) {}

  /** Part of the caller's transaction: an action and its event commit together or not at all. */
  record(tx: EntityManager, entry: AuditEntry): Promise<void> {
    this.count(entry.type, 1);
    return this.events.insert(tx, entry);
  }

  /** Records many events of one type that no request caused, in one statement. */
  recordAll(
    tx: EntityManager,
    type: AuditEventType,
    events: Required<Pick<AuditEntry, 'userId' | 'sessionId' | 'details'>>[],
  ): Promise<void> {
    this.count(type, events.length);
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

  private count(type: AuditEventType, events: number): void {
    this.counts.set(type, (this.counts.get(type) ?? 0) + events);
  }
}
