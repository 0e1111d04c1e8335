import type { CacheValue } from '../../platform/cache/cache-port.js';
import { CLAIMS_SQL, NO_CLAIMS, parseClaims } from '../../platform/claims/declared-claims.js';
import type { Role } from '../../roles.js';
import { END_REASONS, type Ended, type EndReason } from '../revocation/end-reason.js';
import type { SessionSnapshot } from './session-snapshot.js';
import type { Transport } from '../session.entity.js';

/**
 * The entry of a session in the cache: a lease (a string: a reader is asking Postgres), a live session, or a
 * tombstone.
 */
export type SessionCacheEntry =
  | { state: 'leased' }
  | { state: 'live'; snapshot: SessionSnapshot; believeUntil: number }
  | { state: 'ended'; ended: Ended };

const LETTERS: Record<Transport, string> = { cookie: 'c', bearer: 'b' };
/** The tag of this layout. An entry that another version has written counts as a miss. */
const LIVE = 2;
const ENDED = 0;

/** `believeUntil` is part of the entry. So a cache that fails to expire entries cannot extend their lifetime. */
export function packLive(snapshot: SessionSnapshot, believeUntil: number): CacheValue {
  const { device } = snapshot;
  return [
    LIVE,
    believeUntil,
    packUuid(snapshot.userId),
    snapshot.roles.join(' '),
    LETTERS[snapshot.transport],
    snapshot.ip,
    packPlaces(snapshot),
    snapshot.deviations.join(' '),
    snapshot.createdAt,
    snapshot.lastSeenAt - snapshot.createdAt,
    snapshot.authenticatedAt - snapshot.createdAt,
    snapshot.secondFactorAt && snapshot.secondFactorAt - snapshot.createdAt,
    packKeyVersion(snapshot),
    snapshot.deniedTokens.join(' '),
    packUuid(device.id),
    device.name === plainNameOf(device) ? '' : device.name,
    device.browser,
    device.os,
    device.firstSeenAt - snapshot.createdAt,
    ...(CLAIMS_SQL ? [JSON.stringify(snapshot.claims)] : []),
  ];
}

/** The tombstone of an ended session. */
export function packEnded({ reason, at }: Ended): CacheValue {
  return [ENDED, reason, at];
}

/** @returns null for an entry that this version did not write; it counts as a miss, not as an error */
export function unpack(sessionId: string, text: string): SessionCacheEntry | null {
  const value = parsed(text);
  if (typeof value === 'string') return { state: 'leased' };
  if (!Array.isArray(value)) return null;
  if (value[0] === ENDED) {
    const [, reason, at] = value as [number, EndReason, number];
    return END_REASONS.includes(reason) && Number.isInteger(at)
      ? { state: 'ended', ended: { reason, at } }
      : null;
  }
  if (value[0] !== LIVE || !hasLiveShape(value)) return null;
  const [, believeUntil, userId, roles, letter, ip, places, deviations, createdAt, ...rest] = value as Live;
  const [lastSeenAfter, authenticatedAfter, secondFactorAfter, keyVersion, deniedTokens, ...device] = rest;
  const [deviceId, name, browser, os, firstSeenAfter, claimsText] = device;
  // An entry of a release with other declarations counts as a miss.
  const claims = claimsText === undefined ? NO_CLAIMS : parseClaims(parsed(claimsText));
  if (!claims) return null;
  return {
    state: 'live',
    believeUntil,
    snapshot: {
      id: sessionId,
      userId: unpackUuid(userId),
      roles: words(roles) as Role[],
      claims,
      transport: letter === LETTERS.cookie ? 'cookie' : 'bearer',
      ip,
      ...unpackPlaces(places, createdAt),
      deviations: words(deviations),
      createdAt,
      lastSeenAt: createdAt + lastSeenAfter,
      authenticatedAt: createdAt + authenticatedAfter,
      secondFactorAt: secondFactorAfter === null ? null : createdAt + secondFactorAfter,
      ...unpackKeyVersion(keyVersion),
      deniedTokens: words(deniedTokens),
      device: {
        id: unpackUuid(deviceId),
        name: name || plainNameOf({ browser, os }),
        browser,
        os,
        firstSeenAt: createdAt + firstSeenAfter,
      },
      ended: null,
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

type Live = [
  tag: number,
  believeUntil: number,
  userId: string,
  roles: string,
  letter: string,
  ip: string | null,
  places: string,
  deviations: string,
  createdAt: number,
  lastSeenAfter: number,
  authenticatedAfter: number,
  secondFactorAfter: number | null,
  keyVersion: number,
  deniedTokens: string,
  deviceId: string,
  name: string,
  browser: string | null,
  os: string | null,
  firstSeenAfter: number,
  claims?: string,
];

/** One letter for each element of {@link Live}: n for a number, t for text; a capital letter if it may be null. */
const LIVE_SHAPE = [...`nntttTttnnnNntttTTn${CLAIMS_SQL ? 't' : ''}`].map((letter) => ({
  type: letter.toLowerCase() === 'n' ? 'number' : 'string',
  mayBeNull: letter !== letter.toLowerCase(),
}));

function hasLiveShape(value: unknown[]): boolean {
  if (value.length !== LIVE_SHAPE.length) return false;
  for (let place = 0; place < value.length; place += 1) {
    const { type, mayBeNull } = LIVE_SHAPE[place]!;
    const part = value[place];
    if (typeof part !== type && !(part === null && mayBeNull)) return false;
  }
  return true;
}

type Keys = Pick<SessionSnapshot, 'keyVersion' | 'undelivered'>;

/** Negative if no request has presented a token of this key version yet. That is rare and lasts only briefly. */
function packKeyVersion({ keyVersion, undelivered }: Keys): number {
  return undelivered ? -1 - keyVersion : keyVersion;
}

function unpackKeyVersion(packed: number): Keys {
  return packed < 0
    ? { keyVersion: -1 - packed, undelivered: true }
    : { keyVersion: packed, undelivered: false };
}

type Places = Pick<SessionSnapshot, 'country' | 'originCountry' | 'location'>;

/** An empty string when nothing is known. A tenth of a degree is at most 11 km. */
function packPlaces({ originCountry, country, location, createdAt }: SessionSnapshot): string {
  if (!originCountry && !country && !location) return '';
  const moved = country === originCountry ? '' : (country ?? '-');
  const where = location
    ? [tenth(location.latitude), tenth(location.longitude), location.at - createdAt]
    : [];
  return [originCountry ?? '', moved, ...where].join();
}

const tenth = (degrees: number): number => Math.round(degrees * 10) / 10;

function unpackPlaces(packed: string, createdAt: number): Places {
  const [origin = '', moved = '', ...where] = packed.split(',');
  const originCountry = origin || null;
  const [latitude, longitude, after] = where.map(Number);
  return {
    originCountry,
    country: moved === '' ? originCountry : moved === '-' ? null : moved,
    location:
      after === undefined ? null : { latitude: latitude!, longitude: longitude!, at: createdAt + after },
  };
}

/** The name of most devices. The cache omits it. */
function plainNameOf({ browser, os }: Pick<SessionSnapshot['device'], 'browser' | 'os'>): string {
  return [browser, os].filter(Boolean).join(' on ');
}

function words(joined: string): string[] {
  return joined === '' ? [] : joined.split(' ');
}

/** 22 characters instead of 36: an entry should stay under 250 bytes. */
function packUuid(uuid: string): string {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex').toString('base64url');
}

function unpackUuid(packed: string): string {
  const hex = Buffer.from(packed, 'base64url').toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
