import { Inject, Injectable } from '@nestjs/common';
import { timingSafeEqual } from 'node:crypto';
import { isIPv6, type BlockList } from 'node:net';
import type pg from 'pg';
import { Problem } from '../../../platform/api/problem.js';
import { Metrics } from '../../../platform/metrics/metrics.js';
import { blockListOf } from '../../../platform/http/ip-address.js';
import { CHECK_POOL } from '../../../platform/persistence/database.module.js';
import { boundedMap } from '../../../platform/performance/bounded-map.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { mayHave, type Scope } from '../../../scopes.js';
import { BatchedReader } from '../../../sessions/check/batched-reader.js';
import { CachedReader } from '../../../sessions/check/cached-reader.js';
import { DenialList } from '../../../sessions/revocation/denial-list.js';
import { ApiKeyFormat, type ParsedApiKey } from '../api-key-format.js';
import { READ_API_KEYS } from '../api-key.repository.js';
import type { ApiKeyCaller, ApiKeySnapshot } from '../api-key.js';
import { ApiKeyCache } from './api-key-cache.js';

/** The requirements of a route for its key. */
export interface ApiKeyRequirement {
  scope: Scope;
  /** As of sessions: `strict` reads Postgres on every check. */
  consistency: 'cached' | 'strict';
}

/** A key that was accepted. */
export interface AcceptedApiKey {
  caller: ApiKeyCaller;
  requestsPerMinute: number | null;
  /** When the key, or the secret that was presented, ends by its age, in milliseconds since the epoch. */
  endsAt: number;
  /** Set while the request uses the secret before the last rotation. Milliseconds since the epoch. */
  deprecated: { since: number; until: number } | null;
}

/**
 * Decides whether an API key is live and has a scope. As for sessions, a cached key can only let a request pass: before
 * the check refuses for a reason that time or a change could have lifted, it reads Postgres.
 */
@Injectable()
export class ApiKeyCheck {
  private readonly keys: CachedReader<ApiKeySnapshot>;
  private readonly blockLists = boundedMap<BlockList>(1_000);

  constructor(
    private readonly format: ApiKeyFormat,
    private readonly denials: DenialList,
    private readonly clock: Clock,
    cache: ApiKeyCache,
    @Inject(CHECK_POOL) pool: pg.Pool,
    metrics: Metrics,
  ) {
    const { answers } = (this.keys = new CachedReader(
      cache,
      new BatchedReader(pool, READ_API_KEYS, parse),
      clock,
    ));
    metrics.counter({
      name: 'api_key_checks_total',
      help: 'Checks of API keys by the store that answered.',
      labelNames: ['answered_by'],
      collect() {
        this.reset();
        for (const [answered_by, count] of Object.entries(answers)) this.inc({ answered_by }, count);
      },
    });
  }

  /** See {@link CachedReader}. */
  get answers() {
    return this.keys.answers;
  }

  /**
   * Recognises a key by its format and by the ends that this instance knows, without I/O.
   *
   * @throws Problem `auth.invalid_key`
   */
  recognise(text: string): ParsedApiKey {
    const parsed = this.format.parse(text);
    if (!parsed) throw new Problem('auth.invalid_key');
    const objection = this.objectionTo(parsed);
    if (objection) throw objection;
    return parsed;
  }

  /** Why this instance refuses a key by the revocations that it knows; null if it does not. */
  objectionTo({ id }: ParsedApiKey): Problem | null {
    return this.denials.deniesCredential(id) ? new Problem('auth.invalid_key') : null;
  }

  /**
   * Returns the caller of a key, if the key is live and has the scope.
   *
   * @param address of the client
   * @throws Problem `auth.invalid_key`: unknown, wrong, ended, expired, or not from this address; the answer does not
   *   say which. `auth.insufficient_scope`, `auth.unavailable`
   */
  async require(
    key: ParsedApiKey,
    requirement: ApiKeyRequirement,
    address: string | null,
  ): Promise<AcceptedApiKey> {
    const entry = requirement.consistency === 'cached' ? await this.keys.fromCache(key.id) : undefined;
    if (entry?.state === 'ended') throw new Problem('auth.invalid_key');
    if (entry?.state === 'live') {
      const verdict = this.judge(entry.snapshot, key, requirement, address);
      if (!(verdict instanceof Problem)) return verdict;
    }
    const snapshot = await this.keys.fromPostgres(key.id, entry);
    const verdict = snapshot
      ? this.judge(snapshot, key, requirement, address)
      : new Problem('auth.invalid_key');
    if (verdict instanceof Problem) throw verdict;
    return verdict;
  }

  private judge(
    key: ApiKeySnapshot,
    { digest }: ParsedApiKey,
    { scope }: ApiKeyRequirement,
    address: string | null,
  ): AcceptedApiKey | Problem {
    const now = this.clock.now();
    const rotation = rotationOf(key, digest, now);
    if (rotation === null || !isLive(key, now) || !this.mayComeFrom(address, key.networks))
      return new Problem('auth.invalid_key');
    if (!key.scopes.includes(scope) || !mayHave(scope, key.ownerRoles))
      return new Problem('auth.insufficient_scope', { members: { scope } });
    return {
      caller: { kind: 'api_key', id: key.id, userId: key.userId, roles: [], name: key.name, rotation },
      requestsPerMinute: key.requestsPerMinute,
      endsAt: Math.min(key.expiresAt ?? Infinity, rotation === key.rotation ? Infinity : key.previousUntil!),
      deprecated: rotation === key.rotation ? null : { since: key.rotatedAt!, until: key.previousUntil! },
    };
  }

  private mayComeFrom(address: string | null, networks: readonly string[]): boolean {
    if (networks.length === 0) return true;
    if (address === null) return false;
    const name = networks.join(' ');
    let list = this.blockLists.get(name);
    if (!list) this.blockLists.set(name, (list = blockListOf(networks)));
    return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  }
}

const parse = (text: string) => JSON.parse(text) as ApiKeySnapshot;

/** The only function that decides whether a key is live, whatever its secret. */
export function isLive(
  { ended, expiresAt }: Pick<ApiKeySnapshot, 'ended' | 'expiresAt'>,
  now: number,
): boolean {
  return ended === null && (expiresAt === null || expiresAt > now);
}

/** Which secret of a key this digest is of, by the number of its rotation; null for none that is accepted now. */
export function rotationOf(
  key: Pick<ApiKeySnapshot, 'digest' | 'rotation' | 'previousDigest' | 'previousUntil'>,
  digest: string,
  now: number,
): number | null {
  if (isSame(digest, key.digest)) return key.rotation;
  if (key.previousDigest === null || key.previousUntil! <= now) return null;
  return isSame(digest, key.previousDigest) ? key.rotation - 1 : null;
}

/** Both have the same length: they are digests. */
function isSame(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
