import { milliseconds } from '../settings/duration.js';
import {
  newEncryptionEntry,
  newRefreshEntry,
  newSigningEntry,
  type EncryptionEntry,
  type KeyFile,
  type KeyKind,
  type RefreshEntry,
  type SigningEntry,
} from './key-format.js';
import { isGood, KEPT_MS, newestFirst, startOf, type Term } from './key-schedule.js';
import { MAX_SESSION_LIFETIME } from '../settings/settings.js';

export interface RotationOrder {
  kinds: readonly KeyKind[];
  /** ms since the epoch. */
  now: number;
  /**
   * Time in ms for all instances and verifiers to learn the new key before it is used. `null`: an emergency. The new
   * key is used at once, and all old keys become invalid, because they may have leaked. Encryption keys stay even
   * then: the data is re-encrypted with the new key and would be lost without the old one.
   */
  lead: number | null;
}

export interface Rotated {
  file: KeyFile;
  /** The kinds that got a new key. A kind whose next key is still waiting gets none. */
  added: KeyKind[];
}

/**
 * The file with a new key of each kind, and without expired keys. Running the same command twice has the effect of
 * running it once.
 */
export function rotateKeys(file: KeyFile, { kinds, now, lead }: RotationOrder): Rotated {
  const signing = kinds.includes('signing')
    ? succeed<SigningEntry>(file.signing, newSigningEntry, { now, lead, keep: KEPT_MS.signing })
    : file.signing;
  const refresh = kinds.includes('refresh')
    ? succeed<RefreshEntry>(file.refresh, newRefreshEntry, { now, lead, keep: KEPT_MS.refresh })
    : file.refresh;
  const encryption = kinds.includes('encryption')
    ? succeedEncryption(file.encryption, { now, lead })
    : file.encryption;
  const kept = signing.filter((entry) => isGood(entry, now));
  return {
    added: kinds.filter((kind) => lead === null || !waits(file[kind], now)),
    file: {
      environment: file.environment,
      signing: kept,
      refresh: refresh.filter((entry) => isGood(entry, now)),
      encryption,
      retired: [...newlyRetired(file.signing, kept, now), ...stillRemembered(file.retired, now)],
    },
  };
}

const waits = (entries: readonly Term[], now: number): boolean =>
  entries.some((entry) => startOf(entry) > now);

function succeed<T extends Term>(
  entries: readonly T[],
  make: () => T,
  { now, lead, keep }: { now: number; lead: number | null; keep: number },
): T[] {
  if (lead === null) return [{ ...make(), startsAt: now }];
  if (waits(entries, now)) return [...entries];
  const startsAt = now + lead;
  const retiring = newestFirst(entries).map((entry) => ({
    ...entry,
    retiresAt: entry.retiresAt ?? startsAt + keep,
  }));
  return [{ ...make(), startsAt }, ...retiring];
}

function succeedEncryption(
  entries: readonly EncryptionEntry[],
  { now, lead }: { now: number; lead: number | null },
): EncryptionEntry[] {
  if (lead !== null && waits(entries, now)) return [...entries];
  return [{ ...newEncryptionEntry(), startsAt: now + (lead ?? 0) }, ...newestFirst(entries)];
}

function newlyRetired(
  before: readonly SigningEntry[],
  kept: readonly SigningEntry[],
  now: number,
): KeyFile['retired'] {
  return before
    .filter(({ kid }) => !kept.some((entry) => entry.kid === kid))
    .map(({ kid, retiresAt = now }) => ({ kid, retiredAt: Math.min(retiresAt, now) }));
}

/** A client may return with an old access token as long as its session lives, and then has to be told to refresh. */
function stillRemembered(retired: KeyFile['retired'], now: number): KeyFile['retired'] {
  return retired.filter(({ retiredAt }) => now < retiredAt + milliseconds(MAX_SESSION_LIFETIME));
}
