import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { Clock } from '../common/clock.js';
import { LOGGER, type Logger } from '../common/logger.js';
import { Problem } from '../common/problem.js';
import type { Origin } from '../common/request.js';
import { nameOf } from '../common/request-event.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import { KeyStore } from '../config/key-store.js';
import type { Settings } from '../config/settings.js';
import { RevocationDatabase } from '../database/revocation-database.js';
import { MailOutbox } from '../mail/mail-outbox.js';
import { UserTransactions } from '../database/user-transactions.js';
import {
  evidence,
  isDeviceTokenOf,
  renewed,
  SessionHold,
  type FoundSession,
  type HeldSession,
} from './held-session.js';
import { resume } from './former-keys.js';
import { parseRefreshToken, verifyRefreshToken, type ParsedRefreshToken } from './refresh-token.js';
import { RevocationLog, type Recorded } from './revocation-log.js';
import { RevocationService } from './revocation.service.js';
import { rotate, type RefreshPosition, type Rotation } from './rotation.js';
import { sessionEnded } from './session-check.js';
import type { Transport } from './session.entity.js';
import { SessionsService, type SessionGrant } from './sessions.service.js';
import { circumstances, endedAsSuspicious, SuspicionService } from './suspicion.service.js';

/** The credentials and the request context of a refresh. */
export interface Presentation {
  refreshToken: string;
  deviceToken: string | null;
  transport: Transport;
  origin: Origin;
}

/** The keys that a token was minted with: the session's current keys, or its superseded keys. */
type Lineage = 'current' | 'former';

/** The result of a refresh under the lock. A problem is thrown after the commit. */
interface Outcome {
  grant?: SessionGrant;
  recorded?: (Recorded | undefined)[];
  problem?: Problem;
}

const SUPERSEDED = 'This refresh token was just replaced. Try again with the newest one.';

/**
 * Renews sessions; `rotation.ts` decides, and this service acts. Most refreshes do not overlap with another one and
 * show no risk signal. The service decides them from an unlocked read, and writes only if that state still holds. All
 * others lock the session.
 */
@Injectable()
export class RefreshService {
  constructor(
    private readonly transactions: UserTransactions,
    private readonly revocationDatabase: RevocationDatabase,
    private readonly hold: SessionHold,
    private readonly sessions: SessionsService,
    private readonly log: RevocationLog,
    private readonly revocations: RevocationService,
    private readonly suspicion: SuspicionService,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly keys: KeyStore,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * The session that an authentic refresh token names, at any position of the rotation. Logout uses it.
   *
   * @returns null when this server did not mint the token, or minted it for the other transport
   */
  async sessionOf(
    refreshToken: string,
    transport: Transport,
  ): Promise<{ sessionId: string; userId: string } | null> {
    const authentic = await this.authenticate(refreshToken, transport, this.revocationDatabase.pool);
    return authentic && { sessionId: authentic.token.sessionId, userId: authentic.found.session.userId };
  }

  /**
   * Exchanges a refresh token for a new grant.
   *
   * @throws Problem `auth.invalid_token`, `auth.session_ended` (also when this call ends it, with reason
   * `refresh_reuse` or `suspicious`), `auth.unavailable`
   */
  async refresh(presented: Presentation): Promise<SessionGrant> {
    const authentic = await this.authenticate(presented.refreshToken, presented.transport);
    if (!authentic) throw new Problem('auth.invalid_token');
    const { token, found, lineage } = authentic;
    const grant = lineage === 'current' ? await this.renewAsFound(found, token, presented) : null;
    return grant ?? this.renewUnderLock(found.session.userId, token, presented);
  }

  /** @returns null when the refresh must be decided under the lock */
  private async renewAsFound(
    found: FoundSession,
    token: RefreshPosition,
    { origin, deviceToken }: Presentation,
  ): Promise<SessionGrant | null> {
    if (this.hold.endOf(found)) return null;
    const proof = isDeviceTokenOf(found, deviceToken);
    const rotation = rotate(found.rotation, token, { ...this.moment(found), proof });
    if (rotation.decision.outcome !== 'issue') return null;
    if (this.suspicion.isUnusual(found.session, origin, found.now)) return null;
    const handed = { deviceToken: proof ? deviceToken! : undefined, moved: origin };
    return this.grant(null, found, rotation, handed);
  }

  private async renewUnderLock(
    userId: string,
    token: ParsedRefreshToken,
    presented: Presentation,
  ): Promise<SessionGrant> {
    const { grant, recorded, problem } = await this.transactions.run<Outcome>(userId, async (tx) => {
      const held = await this.hold.live(tx, userId, token.sessionId);
      // The session may have got new keys since the first read. Then this token may match neither its current nor its
      // superseded keys.
      const lineage = this.lineageOf(token, held);
      if (!lineage) throw new Problem('auth.invalid_token');
      const proof = isDeviceTokenOf(held, presented.deviceToken);
      if (lineage === 'former') return this.resume(tx, held, token, { ...presented, proof });
      const rotation = rotate(held.rotation, token, { ...this.moment(held), proof });
      switch (rotation.decision.outcome) {
        case 'issue':
          return this.issue(tx, held, rotation, { ...presented, proof });
        case 'reuse':
          return this.endForReuse(tx, held, token, presented);
        case 'superseded':
          return this.refuseSuperseded(held);
        case 'unknown':
          return this.reportUnknown(tx, held, token, presented);
      }
    });
    // The transaction has committed, so its changes stay even if the response is an error.
    for (const one of recorded ?? []) if (one) await this.revocations.settle(one);
    if (problem) throw problem;
    return grant!;
  }

  private moment({ now }: FoundSession) {
    return { now, grace: this.settings.refreshGrace };
  }

  /** A session keeps the transport of its login. On the other transport its tokens are not authentic. */
  private async authenticate(
    refreshToken: string,
    transport: Transport,
    pool?: pg.Pool,
  ): Promise<{ token: ParsedRefreshToken; found: FoundSession; lineage: Lineage } | null> {
    const token = parseRefreshToken(refreshToken);
    const found = token && (await this.hold.find(token.sessionId, pool));
    if (!token || found?.session.transport !== transport) return null;
    const lineage = this.lineageOf(token, found);
    return lineage ? { token, found, lineage } : null;
  }

  /** @returns null for a token that was minted with neither keys */
  private lineageOf(token: ParsedRefreshToken, { nonce, former }: FoundSession): Lineage | null {
    if (this.isMinted(token, nonce)) return 'current';
    return former && this.isMinted(token, Buffer.from(former.nonce, 'base64')) ? 'former' : null;
  }

  private isMinted(token: ParsedRefreshToken, nonce: Buffer): boolean {
    return verifyRefreshToken(token, { secrets: this.keys.verifyingSecrets(this.clock.now()), nonce });
  }

  /**
   * Continues with a token of the superseded keys. The client lost the response with the new keys, or the token is a
   * copy. The session goes on, but the proof of identity that came with the change of keys is withdrawn, so that a
   * copy gains nothing.
   */
  private async resume(
    tx: EntityManager,
    held: HeldSession,
    token: RefreshPosition,
    presented: Presentation & { proof: boolean },
  ): Promise<Outcome> {
    const { session, former, now } = held;
    const { userId, id: sessionId } = session;
    const resumption = resume({ ...held, former: former! }, token, {
      ...this.moment(held),
      proof: presented.proof,
    });
    if (resumption === 'refuse') return { problem: new Problem('auth.invalid_token') };
    if (resumption === 'superseded') return this.refuseSuperseded(held);
    if (resumption === 'reuse') return this.endForReuse(tx, held, token, presented);
    const { authenticatedAt, deviations } = former!;
    // If the change removed the last factor, the user has no factor left to prove again.
    const secondFactorAt = session.secondFactorAt === null ? null : former!.secondFactorAt;
    await tx.query(
      `update sessions set authenticated_at = $2, second_factor_at = $3, deviations = $4,
         last_seen_at = greatest(last_seen_at, $5),
         former_keys = jsonb_set(former_keys, '{resumed}', 'true') where id = $1`,
      [
        sessionId,
        new Date(authenticatedAt),
        secondFactorAt && new Date(secondFactorAt),
        deviations,
        new Date(now),
      ],
    );
    const details = { change: former!.change, after: now - former!.changedAt };
    const { origin } = presented;
    await this.audit.record(tx, {
      type: 'authn_reauthentication_voided',
      userId,
      sessionId,
      origin,
      details,
    });
    const stale = await this.log.markStale(tx, userId, 'authenticated_at');
    const before = { ...held, session: { ...session, authenticatedAt, secondFactorAt, deviations } };
    const issued = await this.issue(tx, before, resumption, presented);
    return { ...issued, recorded: [stale, ...(issued.recorded ?? [])] };
  }

  private async issue(
    tx: EntityManager,
    held: HeldSession,
    rotation: Rotation,
    { origin, deviceToken, proof }: Presentation & { proof: boolean },
  ): Promise<Outcome> {
    const { response, recorded } = await this.suspicion.respond(tx, held, origin);
    if (response === 'end') return { recorded: [recorded], problem: endedAsSuspicious(recorded!) };
    // A session that must reauthenticate may still refresh, because the user could not reauthenticate otherwise. But
    // its new request context is not saved as a familiar one.
    const moved = response === 'reauthenticate' ? null : origin;
    const grant = await this.grant(tx, held, rotation, {
      deviceToken: proof ? deviceToken! : undefined,
      moved,
    });
    return { grant: grant!, recorded: [recorded] };
  }

  /** @returns null when the session has ended or its rotation has changed since it was found; never under the lock */
  private async grant(
    tx: EntityManager | null,
    found: FoundSession,
    { state, decision }: Rotation,
    { deviceToken, moved }: { deviceToken: string | undefined; moved: Origin | null },
  ): Promise<SessionGrant | null> {
    if (decision.outcome !== 'issue') throw new Problem('auth.invalid_token');
    const session = renewed(found, moved);
    if (decision.rotated && !(await this.hold.renew(tx, found, state, moved))) return null;
    return {
      user: found.owner,
      session,
      decidedAt: found.now,
      refreshToken: this.sessions.mint(session.id, found.nonce, decision.token, found.now),
      deviceToken,
    };
  }

  /**
   * The request is a delayed one from the session's client, or comes from a copy of its cookies. Either way it gets
   * no tokens, and the session goes on.
   */
  private refuseSuperseded({ session }: HeldSession): Outcome {
    this.logger.info(
      { session: nameOf(session.id) },
      'refused a refresh token that was just replaced: a delayed request, or a copy',
    );
    return { problem: new Problem('auth.unavailable', { detail: SUPERSEDED }) };
  }

  private async endForReuse(
    tx: EntityManager,
    held: HeldSession,
    token: RefreshPosition,
    { origin, deviceToken }: Presentation,
  ): Promise<Outcome> {
    const { user, session, now } = held;
    await this.mails.add(
      tx,
      user.email!,
      'refresh_reuse',
      circumstances(session, origin, now),
      new Date(now),
    );
    const details = evidence(held, token, { deviceToken, country: origin.place?.country });
    const order = {
      reason: 'refresh_reuse',
      actorId: null,
      origin,
      audit: 'authn_token_reuse',
      details,
    } as const;
    const recorded = await this.log.endSessions(tx, user.id, { only: [session.id] }, order);
    const at = recorded.revocation.createdAt.getTime();
    return {
      recorded: [recorded],
      problem: sessionEnded({ reason: 'refresh_reuse', at }, { userId: user.id, sessionId: session.id }),
    };
  }

  /** The MAC is right, but this database has never minted the token. The database was restored from a backup. */
  private async reportUnknown(
    tx: EntityManager,
    held: HeldSession,
    token: RefreshPosition,
    { origin, deviceToken }: Presentation,
  ): Promise<Outcome> {
    const { id: sessionId, userId } = held.session;
    const details = evidence(held, token, { deviceToken, country: origin.place?.country });
    await this.audit.record(tx, { type: 'authn_token_unknown', userId, sessionId, origin, details });
    this.logger.warn(
      { session: nameOf(sessionId) },
      'a refresh token is newer than the database: was it restored?',
    );
    return { problem: new Problem('auth.invalid_token') };
  }
}
