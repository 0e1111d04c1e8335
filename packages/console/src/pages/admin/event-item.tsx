import type { Operations } from '@drawbridge/client';
import type { ComponentChildren } from 'preact';
import { texts } from '../../texts.js';
import { Definitions } from '../../ui/definitions.js';
import { Time } from '../../ui/time.js';
import { detailName, eventName } from './event-names.js';
import { UserLink } from './user-link.js';

const t = texts.events;

export type AuditEvent = Operations['GET /v1/admin/audit-events']['answer']['items'][number];

/** An event: its type, its time and its user. The details open on demand. */
export function EventItem({ event }: { event: AuditEvent }) {
  const { at, type, userId, actorId, ip } = event;
  const isByAnother = actorId !== null && actorId !== userId;
  return (
    <li>
      <h2>{eventName(type)}</h2>
      <p class="small">
        <Time at={at} />
        {ip && ` · ${ip}`}
      </p>
      <p>
        {userId && <UserLink id={userId} />}
        {isByAnother && (
          <>
            {' '}
            {t.by} <UserLink id={actorId} />
          </>
        )}
      </p>
      <details>
        <summary aria-label={t.detailsOf(eventName(type))}>{t.details}</summary>
        <EventDetails event={event} />
      </details>
    </li>
  );
}

function EventDetails({ event }: { event: AuditEvent }) {
  const { type, userAgent, sessionId, requestId, details } = event;
  return (
    <Definitions
      entries={[
        ...entriesOf(details),
        [t.exactTime, event.at],
        [t.type, <code>{type}</code>],
        sessionId && [t.session, <code>{sessionId}</code>],
        userAgent && [t.userAgent, userAgent],
        requestId && [t.request, <code>{requestId}</code>],
      ]}
    />
  );
}

const entriesOf = (details: Record<string, unknown>) =>
  Object.entries(details).map(([key, value]) => [detailName(key), shown(value)] as const);

function shown(value: unknown): ComponentChildren {
  if (value === null || value === undefined || value === '') return t.empty;
  if (typeof value === 'boolean') return value ? t.yes : t.no;
  if (Array.isArray(value)) return value.length === 0 ? t.empty : value.map(String).join(', ');
  if (typeof value === 'object') return <Definitions entries={entriesOf(value as Record<string, unknown>)} />;
  return String(value);
}
