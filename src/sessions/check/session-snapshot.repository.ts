import { CLAIMS_SQL, NO_CLAIMS, type Claims } from '../../platform/claims/declared-claims.js';
import type { Role } from '../../roles.js';
import type { Ended, EndReason } from '../revocation/end-reason.js';
import type { Transport } from '../session.entity.js';
import type { SessionSnapshot } from './session-snapshot.js';

/** A SQL expression for a timestamp in milliseconds. It takes half the time of a date that is formatted and parsed. */
export const epochMs = (column: string): string => `round(date_part('epoch', ${column}) * 1000)`;

/** For `select … from`, in every statement whose rows go to {@link snapshotOf}. */
export const SNAPSHOT_COLUMNS = `
  s.id, s.user_id, u.roles, s.transport, host(s.ip) as ip, s.country, s.origin_country,
  s.latitude, s.longitude, ${epochMs('s.located_at')} as located_at, s.deviations,
  ${epochMs('s.created_at')} as created_at, ${epochMs('s.last_seen_at')} as last_seen_at,
  ${epochMs('s.authenticated_at')} as authenticated_at, ${epochMs('s.second_factor_at')} as second_factor_at,
  s.key_version, coalesce(s.superseded_keys @> '{"delivered": false}', false) as undelivered, s.status, s.end_reason, ${epochMs('s.ended_at')} as ended_at,
  d.id as device_id, d.name as device_name, d.browser, d.os, ${epochMs('d.first_seen_at')} as first_seen_at,
  ${epochMs('u.deleted_at')} as deleted_at,
  case when u.banned_until is null or u.banned_until > clock_timestamp() then ${epochMs('u.banned_at')} end as banned_at,
  (select ${epochMs('not_before')} from session_epoch) as not_before,
  array(select token_id from revocations r
        where r.kind = 'token' and r.subjects[1] = s.id and r.expires_at > clock_timestamp()) as denied_tokens
  ${CLAIMS_SQL ? `, ${CLAIMS_SQL} as claims` : ''}`;

export const SNAPSHOT_TABLES = `
  sessions s
  join users u on u.id = s.user_id
  join devices d on d.id = s.device_id`;

/** A row of {@link SNAPSHOT_COLUMNS}, from the driver or from the JSON of PostgreSQL's `row_to_json`. */
export interface SnapshotRow {
  id: string;
  user_id: string;
  roles: Role[];
  transport: Transport;
  ip: string | null;
  country: string | null;
  origin_country: string | null;
  latitude: number | null;
  longitude: number | null;
  located_at: number | null;
  deviations: string[];
  created_at: number;
  last_seen_at: number;
  authenticated_at: number;
  second_factor_at: number | null;
  key_version: number;
  undelivered: boolean;
  status: 'active' | 'ended';
  end_reason: EndReason | null;
  ended_at: number | null;
  device_id: string;
  device_name: string;
  browser: string | null;
  os: string | null;
  first_seen_at: number;
  deleted_at: number | null;
  banned_at: number | null;
  /** -Infinity before the first global revocation. JSON has it as text. */
  not_before: number | string;
  denied_tokens: string[];
  /** Absent if no claim is declared. */
  claims?: Claims;
}

/** Converts a row to a snapshot. */
export function snapshotOf(row: SnapshotRow): SessionSnapshot {
  return {
    id: row.id,
    userId: row.user_id,
    roles: row.roles,
    claims: row.claims ?? NO_CLAIMS,
    transport: row.transport,
    ip: row.ip,
    country: row.country,
    originCountry: row.origin_country,
    location: locationOf(row),
    deviations: row.deviations,
    createdAt: row.created_at,
    lastSeenAt: row.last_seen_at,
    authenticatedAt: row.authenticated_at,
    secondFactorAt: row.second_factor_at,
    keyVersion: row.key_version,
    undelivered: row.undelivered,
    deniedTokens: row.denied_tokens,
    device: {
      id: row.device_id,
      name: row.device_name,
      browser: row.browser,
      os: row.os,
      firstSeenAt: row.first_seen_at,
    },
    ended: endedOf(row),
  };
}

/** The position of a row; null if it has none. */
export function locationOf({
  latitude,
  longitude,
  located_at,
}: Pick<SnapshotRow, 'latitude' | 'longitude' | 'located_at'>): SessionSnapshot['location'] {
  if (latitude === null || longitude === null || located_at === null) return null;
  return { latitude, longitude, at: located_at };
}

function endedOf(row: SnapshotRow): Ended | null {
  if (row.end_reason && row.ended_at) return { reason: row.end_reason, at: row.ended_at };
  if (row.deleted_at) return { reason: 'account_deleted', at: row.deleted_at };
  if (row.banned_at) return { reason: 'ban', at: row.banned_at };
  const epoch = Number(row.not_before);
  return row.created_at <= epoch ? { reason: 'admin_everyone', at: epoch } : null;
}
