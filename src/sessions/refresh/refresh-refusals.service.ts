import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { Problem } from '../../platform/api/problem.js';
import type { RequestContext } from '../../platform/http/request.js';
import { shortSessionId } from '../../platform/logging/security-event-log.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import { sessionEnded } from '../check/session-check.js';
import { keyProofRequired } from '../binding/key-proof.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';
import { RESPONSE_TIMEOUT_MS } from './superseded-keys.js';
import { RevocationWriter, type RevocationTx } from '../revocation/revocation-writer.js';
import { REFRESH_REUSE_MAIL } from '../mails.js';
import { movedMailContext } from '../risk/session-risk.service.js';
import type { LockedSession, StoredSession } from '../stored-session.js';
import type { RefreshPosition } from './rotation.js';

/**
 * The result of a refresh, for metrics. `repeated`: the newest token was issued again. `reuse`: the token is a copy, and
 * its session ended. `superseded`: a delayed request, or a copy. `unknown`: the token is newer than the database.
 * `unproven`: the session is bound to a device key that the request does not prove. `risk`: the session ended for its risk. `refused`: no live session has the token. `failed`: a store was unavailable.
 */
export type RefreshResult =
  'rotated' | 'repeated' | 'reuse' | 'superseded' | 'unknown' | 'unproven' | 'risk' | 'refused' | 'failed';

/** The problem of a refused refresh. It is thrown after the commit. */
export interface Refusal {
  problem: Problem;
  result: RefreshResult;
}

/** A request with a refresh token that must not be exchanged. */
interface Refused {
  deviceToken: string | null;
  context: RequestContext;
}

/**
 * A bound session was refreshed without a proof of its device key. The client may prove the user's identity instead, for
 * which it needs an access token: see `TokenResponder`.
 */
export class DeviceKeyUnproven extends Problem {
  constructor(
    readonly session: SessionSnapshot,
    /** By the database's clock, in milliseconds since the epoch. */
    readonly decidedAt: number,
  ) {
    const { code, options } = keyProofRequired();
    super(code, options);
  }
}

const JUST_BOUND = 'The session was just bound to a key of this device. Try again with the newest cookies.';
const SUPERSEDED = 'This refresh token was just replaced. Try again with the newest one.';

/** Refuses refresh tokens of a locked session, and records why. `rotation.ts` and `superseded-keys.ts` decide. */
@Injectable()
export class RefreshRefusals {
  constructor(
    private readonly revocationWriter: RevocationWriter,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * The request is a delayed one from the session's client, or comes from a copy of its cookies. Either way it gets
   * no tokens, and the session goes on.
   */
  refuseSuperseded({ session }: LockedSession): Refusal {
    this.logger.info(
      { session: shortSessionId(session.id) },
      'refused a refresh token that was just replaced: a delayed request, or a copy',
    );
    return { problem: new Problem('auth.unavailable', { detail: SUPERSEDED }), result: 'superseded' };
  }

  /**
   * The request comes from a copy, or from a device that has lost its key. It gets no tokens, and nothing about the
   * session changes: a copy can neither renew it nor end it.
   */
  async refuseUnproven(tx: EntityManager, locked: LockedSession, { context }: Refused): Promise<Refusal> {
    const { session, now } = locked;
    const { userId, id: sessionId } = session;
    // The answer with the first bound cookie may still be on its way to the client.
    if (session.transport === 'cookie' && now - session.binding!.boundAt < RESPONSE_TIMEOUT_MS)
      return { problem: new Problem('auth.unavailable', { detail: JUST_BOUND }), result: 'unproven' };
    await this.audit.record(tx, { type: 'authn_device_key_unproven', userId, sessionId, context });
    return { problem: new DeviceKeyUnproven(session, now), result: 'unproven' };
  }

  /** The token is a copy: ends the session, tells the user, and keeps the evidence. */
  async endForReuse(
    tx: RevocationTx,
    locked: LockedSession,
    token: RefreshPosition,
    { context, deviceToken }: Refused,
  ): Promise<Refusal> {
    const { user, session, now } = locked;
    const told = movedMailContext(session, context, now);
    await this.mails.add(tx, user.email!, REFRESH_REUSE_MAIL, told, { now: new Date(now) });
    const details = evidence(locked, token, { deviceToken, country: context.place?.country });
    const order = {
      reason: 'refresh_reuse',
      actorId: null,
      context,
      audit: 'authn_token_reuse',
      details,
    } as const;
    const pending = await this.revocationWriter.endSessions(tx, user.id, { only: [session.id] }, order);
    const at = pending.revocation.createdAt.getTime();
    const about = { userId: user.id, sessionId: session.id };
    return { problem: sessionEnded({ reason: 'refresh_reuse', at }, about), result: 'reuse' };
  }

  /** The MAC is right, but this database has never minted the token. The database was restored from a backup. */
  async reportUnknown(
    tx: EntityManager,
    locked: LockedSession,
    token: RefreshPosition,
    { context, deviceToken }: Refused,
  ): Promise<Refusal> {
    const { id: sessionId, userId } = locked.session;
    const details = evidence(locked, token, { deviceToken, country: context.place?.country });
    await this.audit.record(tx, { type: 'authn_token_unknown', userId, sessionId, context, details });
    this.logger.warn(
      { session: shortSessionId(sessionId) },
      'a refresh token is newer than the database: was it restored?',
    );
    return { problem: new Problem('auth.invalid_token'), result: 'unknown' };
  }
}

/**
 * Both sides of a disputed token, for the audit log: the request that presented it, and the session's client until
 * now.
 */
function evidence(
  { session, rotation, userAgent }: StoredSession,
  token: RefreshPosition,
  { deviceToken, country }: { deviceToken: string | null; country: string | undefined },
) {
  return {
    presented: {
      generation: token.generation,
      sibling: token.sibling,
      withDeviceToken: deviceToken !== null,
      country,
    },
    expected: rotation,
    session: {
      ip: session.ip,
      country: session.country,
      userAgent,
      lastSeenAt: new Date(session.lastSeenAt).toISOString(),
    },
  };
}
