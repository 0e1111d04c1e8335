import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../platform/audit/audit.service.js';
import { Clock } from '../platform/runtime/clock.js';
import { Problem } from '../platform/api/problem.js';
import { random } from '../platform/runtime/random.js';
import { KeyStore } from '../platform/keys/key-store.js';
import { Settings } from '../platform/settings/settings.js';
import { isUsable, type User } from '../users/user.entity.js';
import type { ProfileFields } from '../users/user.schemas.js';
import { UserRepository } from '../users/user.repository.js';
import { DeviceRecognition } from './devices/device-recognition.js';
import { newSession, openSessionOf, type OpenSession, type SessionInput } from './session-factory.js';
import { insertOrigin } from './session-origin.repository.js';
import { insertSession, loginTime, openSessions } from './new-session.repository.js';
import { SessionRepository } from './session.repository.js';
import { mintRefreshToken } from './refresh/refresh-token.js';
import { RevocationWriter, type RevocationTx } from './revocation/revocation-writer.js';
import { RevocationService } from './revocation/revocation.service.js';
import { anchorOf, initialRotation, type RefreshPosition } from './refresh/rotation.js';
import { shareEpoch } from './revocation/session-epoch.repository.js';
import { judge, type SessionSnapshot } from './check/session-snapshot.js';
import { SessionRiskService } from './risk/session-risk.service.js';

/** The tokens and the session that a client receives at login or refresh. */
export interface SessionGrant {
  user: ProfileFields;
  session: SessionSnapshot;
  /** When the grant was decided, by the database's clock. {@link session} is as it stood then. */
  decidedAt: number;
  refreshToken: string;
  /** True when the session has just begun. */
  begins?: true;
  /** Absent when the client sent no device token of its own and should not store one. */
  deviceToken?: string;
}

/**
 * Verifies a proof of identity again, for the user as read under the lock and in the same transaction. The
 * credentials may have changed since the first check.
 */
export type ProofRecheck = (user: User, tx: EntityManager, now: Date) => boolean | Promise<boolean>;

export type ListedStatus = 'active' | 'ended' | 'all';

/** Begins and lists sessions, and mints refresh tokens. */
@Injectable()
export class SessionsService {
  constructor(
    private readonly sessionRepository: SessionRepository,
    private readonly users: UserRepository,
    private readonly deviceRecognition: DeviceRecognition,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocations: RevocationService,
    private readonly sessionRisk: SessionRiskService,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly keys: KeyStore,
    private readonly settings: Settings,
  ) {}

  /**
   * Begins a session for a user who has just proved their identity.
   *
   * @returns null when the proof is no longer valid, or when the account may not log in
   * @throws Problem `resource.conflict` when the session limit is reached and its policy is `deny`
   */
  create(input: SessionInput, recheck: ProofRecheck): Promise<SessionGrant | null> {
    return this.revocations.commit(input.userId, async (tx) => {
      const user = await this.users.lock(tx, input.userId);
      if (!user) return null;
      await shareEpoch(tx);
      const { now, createdAt } = await loginTime(tx, user.id, this.clock);
      if (!isUsable(user, now.getTime()) || !(await recheck(user, tx, now))) return null;
      const others = await this.makeRoom(tx, user, input, now.getTime());
      const { device, isNew, token } = await this.deviceRecognition.recognise(tx, { ...input, now });
      const nonce = random.bytes(16);
      const opened = newSession(input, { user, device, createdAt });
      const session = await insertSession(tx, opened, nonce, input);
      if (input.origin) await insertOrigin(tx, session.id, input.origin);
      await this.audit.record(tx, {
        type: input.failedBefore ? 'authn_login_successafterfail' : 'authn_login_success',
        actorId: user.id,
        userId: user.id,
        sessionId: session.id,
        context: input.context,
        details: {
          transport: input.transport,
          newDevice: isNew,
          secondFactor: input.secondFactor,
          ...(input.failedBefore && { failedBefore: input.failedBefore }),
        },
      });
      await this.sessionRisk.tellOfLogin(tx, user, session, {
        isNewDevice: isNew,
        others,
        context: input.context,
      });
      const decidedAt = now.getTime();
      const refreshToken = this.mint(session.id, nonce, anchorOf(initialRotation()), decidedAt);
      return { user, session, decidedAt, refreshToken, deviceToken: token, begins: true };
    });
  }

  /** One user's sessions, newest first. Their status is judged now, so expired sessions count as ended. */
  async list(userId: string, status: ListedStatus = 'active'): Promise<SessionSnapshot[]> {
    const found = await this.sessionRepository.list(userId, { onlyActive: status === 'active' });
    if (status === 'all') return found;
    return found.filter((session) => (this.isLive(session) ? 'active' : 'ended') === status);
  }

  /**
   * Mints a refresh token.
   *
   * @param now the database's time in milliseconds, so that all instances switch to a new secret at the same instant
   */
  mint(sessionId: string, nonce: Buffer, position: RefreshPosition, now: number): string {
    return mintRefreshToken({ secret: this.keys.mintingSecret(now), nonce, sessionId, ...position });
  }

  private isLive(session: SessionSnapshot): boolean {
    return judge(session, this.settings, this.clock.now()) === null;
  }

  /**
   * Ends the session that the new one replaces, and the sessions over the limit. The user's lock is held, so
   * concurrent logins cannot exceed the limit.
   *
   * @returns the live sessions before the login, without the replaced one
   */
  private async makeRoom(
    tx: RevocationTx,
    { id: userId, roles }: User,
    { context, replaces }: SessionInput,
    now: number,
  ): Promise<OpenSession[]> {
    const rows = await openSessions(tx, userId);
    const open = rows.map((row) => openSessionOf(row, roles));
    const live = open.filter((session) => judge(session, this.settings, now) === null);
    const kept = live.filter(({ id }) => id !== replaces);
    if (kept.length < live.length) {
      const cause = { reason: 'logout', actorId: userId, context } as const;
      await this.revocationWriter.endSessions(tx, userId, { only: [replaces!] }, cause);
    }
    const excess = kept.length + 1 - this.settings.sessionLimit;
    if (excess <= 0) return kept;
    if (this.settings.sessionLimitPolicy === 'deny') {
      throw new Problem('resource.conflict', {
        detail: 'The limit of live sessions has been reached. End one first.',
      });
    }
    if (this.settings.sessionLimitPolicy === 'evict_idle') kept.sort((a, b) => a.lastSeenAt - b.lastSeenAt);
    const only = kept.slice(0, excess).map(({ id }) => id);
    const cause = { reason: 'session_limit', actorId: null, context } as const;
    await this.revocationWriter.endSessions(tx, userId, { only }, cause);
    return kept;
  }
}
