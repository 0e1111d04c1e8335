import type { CacheValue } from './cache-port.js';
import { sha256 } from '../runtime/sha256.js';

/**
 * A Redis epoch: the time in which one server process is the master, without interruption. It is identified by the
 * `run_id` of the process and by `master_replid`, which changes at each promotion. So a server that becomes master
 * again starts a new epoch.
 */
export interface RedisEpoch {
  /** A suffix of values: a line feed, which compact JSON never contains, and 48 bits. */
  readonly seal: string;
  readonly replicationId: string;
}

/** The identity of a server, from `INFO server` and `INFO replication`. */
export interface ServerIdentity extends RedisEpoch {
  role: 'master' | 'replica';
  inCluster: boolean;
}

const SEAL_LENGTH = 9;

/**
 * Parses the identity of a server.
 * @throws Error if a field is missing, for example because INFO is not allowed
 */
export function parseServerIdentity(info: string): ServerIdentity {
  const tell = (name: string) => new RegExp(`^${name}:(\\w+)`, 'm').exec(info)?.[1];
  const [role, runId, replicationId] = ['role', 'run_id', 'master_replid'].map(tell);
  if (!role || !runId || !replicationId)
    throw new Error('Redis does not identify itself: the user of REDIS_URL must be allowed to call INFO');
  const digest = sha256(`${runId} ${replicationId}`).toString('base64url');
  return {
    role: role === 'master' ? role : 'replica',
    inCluster: tell('redis_mode') === 'cluster',
    seal: `\n${digest.slice(0, SEAL_LENGTH - 1)}`,
    replicationId,
  };
}

/** Whether the server is still in the same Redis epoch, by its `INFO replication` on the same connection. */
export function isSameEpoch({ replicationId }: RedisEpoch, infoReplication: string): boolean {
  return (
    infoReplication.includes('\nrole:master\r') &&
    infoReplication.includes(`\nmaster_replid:${replicationId}\r`)
  );
}

/** Encodes a value. With a suffix it counts in one Redis epoch only, without one in all of them. */
export function tagValue(value: CacheValue, seal: string): string {
  return JSON.stringify(value) + seal;
}

/** The text of a value, or null if it belongs to another Redis epoch. */
export function untagValue(text: string | null, seal: string): string | null {
  if (text === null) return null;
  const isSealed = text.charCodeAt(text.length - SEAL_LENGTH) === LINE_END;
  if (!isSealed) return text;
  return text.endsWith(seal) ? text.slice(0, -SEAL_LENGTH) : null;
}

const LINE_END = 10;

/**
 * KEYS: the keys. ARGV: the time to live, the epoch suffix; then for each key its value with that suffix. A value of
 * another Redis epoch counts as absent. Returns 1 for each key that was set, otherwise 0.
 */
export const SET_IF_ABSENT = `
  local done = {}
  for place, key in ipairs(KEYS) do
    local held = redis.call('get', key)
    local isFree = not held or (string.byte(held, -${SEAL_LENGTH}) == ${LINE_END} and string.sub(held, -${SEAL_LENGTH}) ~= ARGV[2])
    if isFree then redis.call('set', key, ARGV[2 + place], 'PX', ARGV[1]) end
    done[place] = isFree and 1 or 0
  end
  return done`;

/**
 * As {@link SET_IF_ABSENT}, but with two values for each key: the expected one, with or without suffix, and its
 * replacement.
 */
export const COMPARE_AND_SET = `
  local done = {}
  for place, key in ipairs(KEYS) do
    local held, expected = redis.call('get', key), ARGV[1 + 2 * place]
    local isExpected = held == expected .. ARGV[2] or held == expected
    if isExpected then redis.call('set', key, ARGV[2 + 2 * place], 'PX', ARGV[1]) end
    done[place] = isExpected and 1 or 0
  end
  return done`;
