import { Injectable } from '@nestjs/common';
import { defineAuditEvent } from '../../platform/audit/audit-event-types.js';
import { AuditService } from '../../platform/audit/audit.service.js';
import type { ActorContext } from '../../platform/api/actor.decorator.js';
import { invalidRequest, Problem } from '../../platform/api/problem.js';
import type { RequestContext } from '../../platform/http/request.js';
import { Jobs } from '../../platform/jobs/jobs.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { databaseNow } from '../../platform/persistence/database-now.js';
import { UserTransactions } from '../../platform/persistence/user-transactions.js';
import { Clock } from '../../platform/runtime/clock.js';
import { random } from '../../platform/runtime/random.js';
import { Settings } from '../../platform/settings/settings.js';
import { mayHave } from '../../scopes.js';
import type { SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import { CredentialKinds } from '../../sessions/credential-kinds.js';
import { mailContextOf } from '../../sessions/mail-context.js';
import type { Receipt } from '../../sessions/revocation/receipt.js';
import {
  RevocationWriter,
  type PendingRevocation,
  type RevocationTx,
} from '../../sessions/revocation/revocation-writer.js';
import { RevocationService } from '../../sessions/revocation/revocation.service.js';
import { SessionFence } from '../../sessions/session-fence.js';
import { UserRepository } from '../../users/user.repository.js';
import { ApiKeyFormat } from './api-key-format.js';
import { ENDS_KEYS, type ApiKeyCaller, type KeyEndReason, type StoredApiKey } from './api-key.js';
import { ApiKeyRepository } from './api-key.repository.js';
import type { NewApiKey } from './api-key.schemas.js';
import { isLive } from './check/api-key-check.js';
import { API_KEY_CREATED_MAIL } from './mails.js';
import { apiKeySettings } from './settings.js';

const API_KEY_CREATED = defineAuditEvent('api_key_created');
const API_KEY_ROTATED = defineAuditEvent('api_key_rotated');
const API_KEY_ENDED = defineAuditEvent('api_key_ended');

const CLEANUP_BATCH = 1_000;

/** A key with its text, which is shown once. */
export interface IssuedApiKey {
  key: string;
  stored: StoredApiKey;
}

/** Why a key ends, and which actor ends it. */
export interface KeyEndCause extends ActorContext {
  reason: KeyEndReason;
  details?: Record<string, unknown>;
}

/** Creates, lists, rotates and ends API keys. */
@Injectable()
export class ApiKeysService {
  private readonly limit: number;
  private readonly maxLifetime: number;

  constructor(
    private readonly keys: ApiKeyRepository,
    private readonly format: ApiKeyFormat,
    private readonly users: UserRepository,
    private readonly transactions: UserTransactions,
    private readonly fence: SessionFence,
    private readonly revocations: RevocationService,
    private readonly revocationWriter: RevocationWriter,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly settings: Settings,
    kinds: CredentialKinds,
    jobs: Jobs,
  ) {
    ({ apiKeyLimit: this.limit, apiKeyMaxLifetime: this.maxLifetime } = apiKeySettings(settings));
    kinds.register('api_key', {
      lockToEnd: (tx, userId, reason) =>
        ENDS_KEYS.includes(reason) ? this.keys.lockActive(tx, userId) : Promise.resolve([]),
      end: (tx, ids, end) => this.keys.end(tx, ids, end),
      liveOf: (tx, userId) => this.keys.activeOf(tx, userId),
      endedBy: (tx, userId, seqs) => this.keys.endedBy(tx, userId, seqs),
      lockLive: async (tx, caller) => {
        const key = await this.keys.share(tx, caller.id);
        const now = (await databaseNow(tx, this.clock)).getTime();
        const { rotation } = caller as ApiKeyCaller;
        const isFormer = rotation === (key?.rotation ?? 0) - 1 && (key?.previousUntil ?? 0) > now;
        if (!key || !isLive(key, now) || !(rotation === key.rotation || isFormer))
          throw new Problem('auth.invalid_key');
      },
    });
    jobs.every({ name: 'api-key-cleanup', interval: '1h', run: () => this.removeOver() });
  }

  /** The keys of a user, newest first. */
  list(userId: string): Promise<StoredApiKey[]> {
    return this.keys.list(userId);
  }

  /**
   * Creates a key. The owner is told by mail, because the key outlives the session.
   *
   * @throws Problem `request.invalid` (a scope that the user may not have, a time that is over or too far away),
   *   `resource.conflict` at `API_KEY_LIMIT`, `auth.session_ended`
   */
  async create(session: SessionSnapshot, wanted: NewApiKey, context: RequestContext): Promise<IssuedApiKey> {
    const { userId } = session;
    this.requireAllowed(session, wanted);
    const id = random.uuidAt(this.clock.now());
    const { text, digest } = this.format.mint(id);
    await this.transactions.run(userId, async (tx) => {
      const user = await this.users.lock(tx, userId);
      const { roles } = await this.fence.lockLive(tx, session.id);
      this.requireAllowed({ roles }, wanted);
      const now = await databaseNow(tx, this.clock);
      if ((await this.keys.countLive(tx, userId, now)) >= this.limit)
        throw new Problem('resource.conflict', {
          detail: `An account has at most ${this.limit} live API keys. End one that is no longer used.`,
        });
      const { name, scopes, networks } = wanted;
      const expiresAt = wanted.expiresAt ?? this.latestExpiry(now);
      await this.keys.insert(tx, {
        id,
        userId,
        name,
        scopes,
        networks,
        requestsPerMinute: wanted.requestsPerMinute ?? null,
        digest,
        createdAt: now,
        expiresAt,
      });
      await this.audit.record(tx, {
        type: API_KEY_CREATED,
        actorId: userId,
        userId,
        sessionId: session.id,
        context,
        details: { apiKey: id, scopes, networks, expiresAt: expiresAt?.toISOString() },
      });
      await this.mails.add(tx, user!.email!, API_KEY_CREATED_MAIL, { name, ...mailContextOf(context, now) });
    });
    return this.issued(userId, id, text);
  }

  /**
   * Gives a key of the session's user a new secret. The former one is accepted for the overlap, so that no program is cut
   * off.
   *
   * @param overlap in milliseconds. 0 ends the former secrets at once
   * @returns the new key, and the receipt of the end of the former secret: from `applied` on, no instance accepts it
   *   longer than the overlap
   * @throws Problem `resource.not_found`; `resource.conflict` when the key is not live, or while a former secret is
   *   still accepted, unless the overlap is 0; `auth.session_ended`
   */
  async rotate(
    { id: sessionId, userId }: Pick<SessionSnapshot, 'id' | 'userId'>,
    id: string,
    overlap: number,
    actor: ActorContext,
  ): Promise<IssuedApiKey & { receipt: Receipt }> {
    const { text, digest } = this.format.mint(id);
    const receipt = await this.revocations.commit(
      userId,
      async (tx): Promise<PendingRevocation> => {
        await this.users.lock(tx, userId);
        await this.fence.lockLive(tx, sessionId);
        const key = await this.keys.lock(tx, id);
        if (key?.userId !== userId) throw new Problem('resource.not_found');
        const now = await databaseNow(tx, this.clock);
        if (!isLive(key, now.getTime()))
          throw new Problem('resource.conflict', { detail: 'This key is no longer live. Create a new one.' });
        if (overlap > 0 && key.previousUntil !== null && key.previousUntil > now.getTime())
          throw new Problem('resource.conflict', {
            detail:
              'This key was rotated, and its former secret is still accepted. Wait until `overlapEndsAt`, or rotate with `overlapSeconds: 0`.',
            members: { overlapEndsAt: new Date(key.previousUntil).toISOString() },
          });
        const previousUntil = overlap > 0 ? new Date(now.getTime() + overlap) : null;
        await this.keys.rotate(tx, id, { digest, at: now, previousUntil });
        await this.audit.record(tx, {
          type: API_KEY_ROTATED,
          ...actor,
          userId,
          sessionId,
          details: { apiKey: id, overlapSeconds: overlap / 1_000 },
        });
        return this.revocationWriter.markCredentialStale(tx, id, 'api_key_rotated');
      },
      { reserved: true },
    );
    return { ...(await this.issued(userId, id, text)), receipt };
  }

  /**
   * Ends a key. A repeated call returns the receipt of the first call.
   *
   * @param owner if given, a key of any other user counts as missing
   * @returns null when the key does not exist
   */
  async end(id: string, cause: KeyEndCause, owner?: string): Promise<Receipt | null> {
    const userId = await this.keys.ownerOf(id);
    if (userId === null || (owner !== undefined && userId !== owner)) return null;
    const work = async (tx: RevocationTx) => {
      await this.users.lock(tx, userId);
      return this.endLocked(tx, id, cause);
    };
    return this.revocations.commit(userId, work, { reserved: true });
  }

  /** Part of the caller's transaction, under the lock of the key's user. @returns null when the key does not exist */
  async endLocked(
    tx: RevocationTx,
    id: string,
    { reason, details, actorId, context }: KeyEndCause,
  ): Promise<PendingRevocation | null> {
    const key = await this.keys.lock(tx, id);
    if (!key) return null;
    const earlier = await this.revocationWriter.existing(tx, key.revocationSeq);
    if (earlier) return earlier;
    const pending = await this.revocationWriter.endCredential(tx, id, reason);
    const { seq, createdAt: at } = pending.revocation;
    await this.keys.end(tx, [id], { reason, at, seq });
    await this.audit.record(tx, {
      type: API_KEY_ENDED,
      actorId,
      userId: key.userId,
      context,
      details: { ...details, apiKey: id, reason, revocation: Number(seq) },
    });
    return pending;
  }

  private requireAllowed({ roles }: Pick<SessionSnapshot, 'roles'>, { scopes, expiresAt }: NewApiKey): void {
    const forbidden = scopes.findIndex((scope) => !mayHave(scope, roles));
    if (forbidden !== -1)
      throw invalidRequest([
        { path: `scopes.${forbidden}`, message: 'is not a scope that your roles permit' },
      ]);
    if (!expiresAt) return;
    const left = expiresAt.getTime() - this.clock.now();
    if (left <= 0) throw invalidRequest([{ path: 'expiresAt', message: 'must be in the future' }]);
    if (this.maxLifetime > 0 && left > this.maxLifetime)
      throw invalidRequest([{ path: 'expiresAt', message: 'must be within `API_KEY_MAX_LIFETIME`' }]);
  }

  /** The expiry of a key for which its owner has chosen none; null for none. */
  private latestExpiry(now: Date): Date | null {
    return this.maxLifetime > 0 ? new Date(now.getTime() + this.maxLifetime) : null;
  }

  private async issued(userId: string, id: string, key: string): Promise<IssuedApiKey> {
    const [stored] = await this.keys.list(userId, id);
    if (!stored) throw new Problem('resource.not_found'); // the account was deleted meanwhile
    return { key, stored };
  }

  /** Removes the records of keys that ended or expired longer ago than `SESSION_RETENTION`. */
  async removeOver(): Promise<void> {
    const before = new Date(this.clock.now() - this.settings.sessionRetention);
    while ((await this.keys.removeOver(before, CLEANUP_BATCH)) === CLEANUP_BATCH);
  }
}
