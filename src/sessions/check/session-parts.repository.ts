import type { Ended, EndReason } from '../revocation/end-reason.js';
import type { SessionBinding } from '../binding/session-binding.js';
import type { Transport } from '../session.entity.js';
import { INSTANT, TEXT_OR_NULL, UUID, type Begun } from './session-cache.cells.js';

/** The properties of a session that are more than one column or one cell, for `session-snapshot.repository.ts`. */

/** A SQL expression for a timestamp in milliseconds. It takes half the time of a date that is formatted and parsed. */
export const epochMs = (column: string): string => `round(date_part('epoch', ${column}) * 1000)`;

export interface Location {
  latitude: number;
  longitude: number;
  /** Milliseconds since the epoch. */
  at: number;
}

export type LocationRow = Record<'latitude' | 'longitude' | 'located_at', number | null>;

/** The position of a row; null if it has none. */
export function locationOf({ latitude, longitude, located_at }: LocationRow): Location | null {
  if (latitude === null || longitude === null || located_at === null) return null;
  return { latitude, longitude, at: located_at };
}

interface Places {
  originCountry: string | null;
  country: string | null;
  location: Location | null;
}

const tenth = (degrees: number): number => Math.round(degrees * 10) / 10;

/** One cell for two countries and a position. Empty when nothing is known. A tenth of a degree is at most 11 km. */
export const PLACES = {
  shape: 't',
  pack(_: string | null, { originCountry, country, location, createdAt }: Places & Begun): string {
    if (!originCountry && !country && !location) return '';
    const moved = country === originCountry ? '' : (country ?? '-');
    const where = location
      ? [tenth(location.latitude), tenth(location.longitude), location.at - createdAt]
      : [];
    return [originCountry ?? '', moved, ...where].join();
  },
  originCountry(cell: string): string | null {
    return cell.slice(0, Math.max(0, cell.indexOf(','))) || null;
  },
  country(cell: string): string | null {
    if (cell === '') return null;
    const from = cell.indexOf(',') + 1;
    const to = cell.indexOf(',', from);
    const moved = cell.slice(from, to === -1 ? undefined : to);
    return moved === '' ? PLACES.originCountry(cell) : moved === '-' ? null : moved;
  },
  location(cell: string, createdAt: number): Location | null {
    if (cell === '') return null;
    const [, , latitude, longitude, after] = cell.split(',');
    if (after === undefined) return null;
    return { latitude: Number(latitude), longitude: Number(longitude), at: createdAt + Number(after) };
  },
};

interface Device {
  id: string;
  name: string;
  browser: string | null;
  os: string | null;
  /** Milliseconds since the epoch. */
  firstSeenAt: number;
}

interface DeviceRow {
  device_id: string;
  device_name: string;
  browser: string | null;
  os: string | null;
  first_seen_at: number;
}

/** The name of most devices. The cache omits it. */
function plainNameOf({ browser, os }: Pick<Device, 'browser' | 'os'>): string {
  return [browser, os].filter(Boolean).join(' on ');
}

export const DEVICE = {
  columns: {
    device_id: 'd.id',
    device_name: 'd.name',
    browser: 'd.browser',
    os: 'd.os',
    first_seen_at: epochMs('d.first_seen_at'),
  },
  read: (row: DeviceRow): Device => ({
    id: row.device_id,
    name: row.device_name,
    browser: row.browser,
    os: row.os,
    firstSeenAt: row.first_seen_at,
  }),
  cells: [
    { shape: 't', pack: ({ id }: Device, session: Begun) => UUID.pack(id, session) },
    { shape: 't', pack: (device: Device) => (device.name === plainNameOf(device) ? '' : device.name) },
    { shape: TEXT_OR_NULL.shape, pack: ({ browser }: Device) => browser },
    { shape: TEXT_OR_NULL.shape, pack: ({ os }: Device) => os },
    { shape: 'n', pack: ({ firstSeenAt }: Device, session: Begun) => INSTANT.pack(firstSeenAt, session) },
  ],
  unpack: (
    id: string,
    name: string,
    browser: string | null,
    os: string | null,
    after: number,
    createdAt: number,
  ): Device => ({
    id: UUID.unpack(id, createdAt),
    name: name || plainNameOf({ browser, os }),
    browser,
    os,
    firstSeenAt: createdAt + after,
  }),
};

interface BindingRow {
  binding_version: number;
  bound_at: number | null;
}

/** The binding of a row; null for a session without a device key. */
export function bindingOf({
  binding_version: version,
  bound_at: boundAt,
}: BindingRow): SessionBinding | null {
  return boundAt === null ? null : { version, boundAt };
}

interface Carried {
  transport: Transport;
  binding: SessionBinding | null;
}

/** One cell for the transport and the binding. Most sessions have no binding, and their cell is one letter. */
export const TRANSPORT_AND_BINDING = {
  shape: 't',
  pack(_: Transport, { transport, binding, createdAt }: Carried & Begun): string {
    return transport[0] + (binding ? `${binding.version},${binding.boundAt - createdAt}` : '');
  },
  transport(cell: string): Transport {
    return cell.startsWith('c') ? 'cookie' : 'bearer';
  },
  binding(cell: string, createdAt: number): SessionBinding | null {
    if (cell.length === 1) return null;
    const [version, after] = cell.slice(1).split(',').map(Number);
    return { version: version!, boundAt: createdAt + after! };
  },
};

interface EndedRow {
  end_reason: EndReason | null;
  ended_at: number | null;
  created_at: number;
  deleted_at: number | null;
  banned_at: number | null;
  /** -Infinity before the first global revocation. JSON has it as text. */
  not_before: number | string;
}

/** The end that a row records: of the session, of its user, or of everyone's sessions. */
export function endedOf(row: EndedRow): Ended | null {
  if (row.end_reason && row.ended_at) return { reason: row.end_reason, at: row.ended_at };
  if (row.deleted_at) return { reason: 'account_deleted', at: row.deleted_at };
  if (row.banned_at) return { reason: 'ban', at: row.banned_at };
  const epoch = Number(row.not_before);
  return row.created_at <= epoch ? { reason: 'admin_everyone', at: epoch } : null;
}
