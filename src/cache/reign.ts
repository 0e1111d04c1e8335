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

/**
 * What is there, as far as it counts in this reign. What is not JSON is not ours, and as good as nothing: one bad
 * value must not take the others down with it.
 */
export function open(text: string | null, seal: string): CacheValue | null {
  if (text === null) return null;
  const isSealed = text.charCodeAt(text.length - SEAL_LENGTH) === LINE_END;
  if (isSealed && !text.endsWith(seal)) return null;
  try {
    return JSON.parse(isSealed ? text.slice(0, -SEAL_LENGTH) : text) as CacheValue;
  } catch {
    return null;
  }
}

const LINE_END = 10;

/** KEYS: the key. ARGV: the sealed value, its time to live, the seal. What another reign has sealed is not in the way. */
export const SET_IF_ABSENT = `
  local held = redis.call('get', KEYS[1])
  if held and (string.byte(held, -${SEAL_LENGTH}) ~= ${LINE_END} or string.sub(held, -${SEAL_LENGTH}) == ARGV[3]) then return 0 end
  redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1`;

/** KEYS: the key. ARGV: what has to be there, sealed or not; what then takes its place, its time to live, the seal. */
export const COMPARE_AND_SET = `
  local held = redis.call('get', KEYS[1])
  if held ~= ARGV[1] .. ARGV[4] and held ~= ARGV[1] then return 0 end
  redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1`;
