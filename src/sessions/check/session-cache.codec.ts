import type { CacheValue } from '../../platform/cache/cache-port.js';
import { END_REASONS, type EndReason } from '../revocation/end-reason.js';
import { ENDED, type CacheEntry } from './leased-cache.js';
import type { Cell } from './session-cache.cells.js';
import type { SessionSnapshot } from './session-snapshot.js';
import { packSnapshot, SNAPSHOT_SHAPE, unpackSnapshot } from './session-snapshot.repository.js';

/** The first element of a live session. An entry that another version has written counts as a miss. */
export const LIVE = 3;

/** See `CacheCodec`. */
export function packLive(snapshot: SessionSnapshot, believeUntil: number): CacheValue {
  return packSnapshot(snapshot, LIVE, believeUntil);
}

/** See `CacheCodec`. */
export function unpack(sessionId: string, text: string): CacheEntry<SessionSnapshot> | null {
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === 'string') return { state: 'leased' };
    if (!Array.isArray(value)) return null;
    if (value[0] === ENDED) return unpackEnded(value);
    if (value[0] !== LIVE || !hasLiveShape(value)) return null;
    const snapshot = unpackSnapshot(sessionId, value);
    return { state: 'live', snapshot, believeUntil: value[1] as number };
  } catch {
    return null;
  }
}

function unpackEnded([, reason, at]: unknown[]): CacheEntry<SessionSnapshot> | null {
  return END_REASONS.includes(reason as EndReason) && Number.isInteger(at)
    ? { state: 'ended', ended: { reason: reason as EndReason, at: at as number } }
    : null;
}

/** One for each cell: its type, and whether it may be null. */
const LIVE_SHAPE = [...`nn${SNAPSHOT_SHAPE}`].map((letter) => ({
  type: letter.toLowerCase() === 'n' ? 'number' : 'string',
  mayBeNull: letter !== letter.toLowerCase(),
}));

function hasLiveShape(value: unknown[]): value is Cell[] {
  if (value.length !== LIVE_SHAPE.length) return false;
  for (let place = 0; place < value.length; place += 1) {
    const { type, mayBeNull } = LIVE_SHAPE[place]!;
    const cell = value[place];
    if (typeof cell !== type && !(cell === null && mayBeNull)) return false;
  }
  return true;
}
