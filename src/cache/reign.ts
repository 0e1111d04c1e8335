import { createHash } from 'node:crypto';
import type { CacheValue } from './cache-port.js';

/**
 * The time for which one server process is the master, without interruption. Its name is made of the process'
 * `run_id` and of `master_replid`, which is another one after each promotion: a server that comes back
 * to its office does not come back to its old reign.
 */
export interface Reign {
  /** A line end, which JSON has nowhere, and 48 bits. */
  readonly seal: string;
  readonly replicationId: string;
}

/** What a server says of itself in `INFO server` and `INFO replication`. */
export interface Greeting extends Reign {
  role: 'master' | 'replica';
  inCluster: boolean;
}

const SEAL_LENGTH = 9;

export function readGreeting(info: string): Greeting {
  const tell = (name: string) => new RegExp(`^${name}:(\\w+)`, 'm').exec(info)?.[1];
  const [role, runId, replicationId] = ['role', 'run_id', 'master_replid'].map(tell);
  if (!role || !runId || !replicationId)
    throw new Error('Redis does not say who it is: INFO must be allowed');
  const digest = createHash('sha256').update(`${runId} ${replicationId}`).digest('base64url');
  return {
    role: role === 'master' ? role : 'replica',
    inCluster: tell('redis_mode') === 'cluster',
    seal: `\n${digest.slice(0, SEAL_LENGTH - 1)}`,
    replicationId,
  };
}

/** Whether a server that says this, on the connection on which its reign was learned, is in that reign still. */
export function goesOn({ replicationId }: Reign, infoReplication: string): boolean {
  return (
    infoReplication.includes('\nrole:master\r') &&
    infoReplication.includes(`\nmaster_replid:${replicationId}\r`)
  );
}

/** As text that counts in one reign only; without a seal it counts in all of them. */
export function close(value: CacheValue, seal: string): string {
  return JSON.stringify(value) + seal;
}

/** The value's text, as far as it counts in this reign. */
export function open(text: string | null, seal: string): string | null {
  if (text === null) return null;
  const isSealed = text.charCodeAt(text.length - SEAL_LENGTH) === LINE_END;
  if (!isSealed) return text;
  return text.endsWith(seal) ? text.slice(0, -SEAL_LENGTH) : null;
}

const LINE_END = 10;

/**
 * KEYS: the keys. ARGV: the time to live, the seal; then for each key its sealed value. What another reign has sealed is not in
 * the way. Returns 1 for each key that was set, else 0.
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

/** As {@link SET_IF_ABSENT}, but for each key what has to be there, sealed or not, and what then takes its place. */
export const COMPARE_AND_SET = `
  local done = {}
  for place, key in ipairs(KEYS) do
    local held, expected = redis.call('get', key), ARGV[1 + 2 * place]
    local isExpected = held == expected .. ARGV[2] or held == expected
    if isExpected then redis.call('set', key, ARGV[2 + 2 * place], 'PX', ARGV[1]) end
    done[place] = isExpected and 1 or 0
  end
  return done`;
