import { isObject } from '../jws.js';

const KINDS = ['token', 'session', 'user', 'everyone'] as const;

/** A revocation, as the feed sends it. Instants are in milliseconds since the epoch. */
export interface FeedEntry {
  /** The number of the revocation, as in its receipt and in `X-Min-Revocation-Seq`. */
  seq: number;
  kind: (typeof KINDS)[number];
  /** Ids of access tokens, of sessions or of users, by the kind. */
  subjects: string[];
  /** Why they ended. */
  reason: string;
  /** Sessions that were created at or before it are denied; null: whenever they were created. */
  notBefore: number | null;
  createdAt: number;
  /** When the last access token that it concerns has expired. */
  expiresAt: number;
}

const isInstant = (value: unknown) => typeof value === 'number' && Number.isFinite(value);

/**
 * A revocation of the feed. Members that this version does not know are allowed.
 *
 * @returns null for anything else, also for a kind that this version does not know: it cannot tell what is denied
 */
export function entryOf(value: unknown): FeedEntry | null {
  if (!isObject(value)) return null;
  const { seq, kind, subjects, reason, notBefore, createdAt, expiresAt } = value;
  const isComplete =
    Number.isSafeInteger(seq) &&
    KINDS.some((known) => known === kind) &&
    Array.isArray(subjects) &&
    subjects.every((subject) => typeof subject === 'string') &&
    typeof reason === 'string' &&
    (notBefore === null || isInstant(notBefore)) &&
    isInstant(createdAt) &&
    isInstant(expiresAt);
  return isComplete ? (value as unknown as FeedEntry) : null;
}

/** @returns undefined for text that is no JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
