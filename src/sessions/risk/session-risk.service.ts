import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../../platform/audit/audit.service.js';
import { Clock } from '../../platform/runtime/clock.js';
import type { RequestContext } from '../../platform/http/request.js';
import { Settings } from '../../platform/settings/settings.js';
import { MailOutbox } from '../../platform/mail/mail-outbox.js';
import type { User } from '../../users/user.entity.js';
import { describeUserAgent } from '../devices/device-recognition.js';
import { SessionRepository } from '../session.repository.js';
import type { LockedSession } from '../stored-session.js';
import {
  RevocationWriter,
  type PendingRevocation,
  type RevocationTx,
} from '../revocation/revocation-writer.js';
import { RevocationService } from '../revocation/revocation.service.js';
import { reauthenticationRequired, sessionEnded } from '../check/session-check.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';
import {
  acknowledged,
  responsesFor,
  signalsOf,
  assessRisk,
  type Sighting,
  type RiskFinding,
  type SignalFacts,
} from './session-risk.js';
import { NEW_DEVICE_MAIL, SESSION_ENDED_AS_SUSPICIOUS_MAIL, SUSPICIOUS_MAIL } from '../mails.js';

/** The response to a risk signal, made under the session's lock; `ended` if it is the end of the session. */
export interface RiskResponse {
  response: RiskFinding['response'] | null;
  ended?: PendingRevocation;
}

type Located = Pick<SessionSnapshot, 'location'>;

/**
 * Evaluates the session risk and acts on it: at login, at refresh and at each session check. `session-risk.ts` defines
 * the signals.
 */
@Injectable()
export class SessionRiskService {
  constructor(
    private readonly sessionRepository: SessionRepository,
    private readonly revocationWriter: RevocationWriter,
    private readonly revocations: RevocationService,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /**
   * Evaluates a request of a live session. Without a risk signal it needs no I/O. With one, the record decides under
   * its lock.
   *
   * @param mayProve accepts a session that must reauthenticate, because the route reauthenticates
   * @returns undefined when there is nothing to await
   * @throws Problem `auth.session_ended` (this call has ended it), `auth.reauthentication_required`
   */
  examine(session: SessionSnapshot, context: RequestContext, mayProve: boolean): Promise<void> | undefined {
    const finding = this.assess(session, context, this.clock.now());
    if (!finding || (finding.response === 'notify' && !finding.isNew)) return undefined;
    return this.look(session, context, mayProve);
  }

  private async look(session: SessionSnapshot, context: RequestContext, mayProve: boolean): Promise<void> {
    const { response, ended } = await this.revocations.commit(session.userId, async (tx) =>
      this.respond(tx, await this.sessionRepository.lockLive(tx, session.userId, session.id), context),
    );
    if (response === 'end') throw endedForRisk(ended!);
    if (response === 'reauthenticate' && !mayProve) throw reauthenticationRequired(0);
  }

  /** Whether a renewal of the session must first call {@link respond}. */
  isUnusual(session: SessionSnapshot, context: RequestContext, now: number): boolean {
    return this.assess(session, context, now) !== null;
  }

  /**
   * Same as {@link examine}, but in the transaction of a caller that has locked the session.
   */
  async respond(tx: RevocationTx, locked: LockedSession, context: RequestContext): Promise<RiskResponse> {
    const finding = this.assess(locked.session, context, locked.now);
    if (!finding) return { response: null };
    const { response, isNew, deviations } = finding;
    if (response === 'end') return { response, ended: await this.end(tx, locked, finding, context) };
    if (!isNew) return { response };
    const { id, userId } = locked.session;
    await this.sessionRepository.saveDeviations(tx, id, deviations);
    await this.tell(tx, locked.user, locked.session, finding, context, locked.now);
    await this.revocationWriter.markStale(tx, userId, 'deviations');
    return { response };
  }

  /**
   * Records that the user has reauthenticated in this request context: its risk signals are acknowledged for this
   * session.
   */
  async accept(tx: EntityManager, { session, now }: LockedSession, context: RequestContext): Promise<void> {
    const signals = signalsOf(session, this.sightingOf(context), now);
    if (signals.length === 0) return;
    const deviations = acknowledged(session.deviations, signals);
    await this.sessionRepository.saveDeviations(tx, session.id, deviations);
  }

  /**
   * Reports the risk signals of a login to the user. The login has just proved the user's identity, so it ends no
   * session.
   *
   * @param others the positions of this user's other live sessions
   */
  async tellOfLogin(
    tx: EntityManager,
    user: User,
    session: SessionSnapshot,
    { isNewDevice, others, context }: { isNewDevice: boolean; others: Located[]; context: RequestContext },
  ): Promise<void> {
    const now = session.createdAt;
    if (isNewDevice && this.settings.suspicionNewDevice === 'notify') {
      const told = movedMailContext(session, context, now);
      await this.mails.add(tx, user.email!, NEW_DEVICE_MAIL, told, { now: new Date(now) });
    }
    const latest = others.reduce<SessionSnapshot['location']>(
      (location, other) =>
        other.location && other.location.at > (location?.at ?? 0) ? other.location : location,
      null,
    );
    // Only the travel signal is about a user; the other signals are about one session.
    const familiar = {
      ...session,
      originCountry: null,
      device: { ...session.device, browser: null },
      location: latest,
    };
    const finding = this.assess(familiar, context, now);
    if (finding) await this.tell(tx, user, session, finding, context, now);
  }

  private assess(session: SessionSnapshot, context: RequestContext, now: number): RiskFinding | null {
    const signals = signalsOf(session, this.sightingOf(context), now);
    if (signals.length === 0) return null;
    return assessRisk(signals, session.deviations, responsesFor(session.roles, this.settings));
  }

  private sightingOf({ place, userAgent }: RequestContext): Sighting {
    return { place, browser: describeUserAgent(userAgent).browser };
  }

  private async end(
    tx: RevocationTx,
    { user, session, userAgent, now }: LockedSession,
    finding: RiskFinding,
    context: RequestContext,
  ): Promise<PendingRevocation> {
    const told = { ...movedMailContext(session, context, now), signals: factsOf(finding) };
    await this.mails.add(tx, user.email!, SESSION_ENDED_AS_SUSPICIOUS_MAIL, told, { now: new Date(now) });
    return this.revocationWriter.endSessions(
      tx,
      user.id,
      { only: [session.id] },
      {
        reason: 'suspicious',
        actorId: null,
        context,
        audit: 'session_suspicious',
        details: { ...findings(finding, session, context), before: { ip: session.ip, userAgent } },
      },
    );
  }

  private async tell(
    tx: EntityManager,
    user: User,
    session: SessionSnapshot,
    finding: RiskFinding,
    context: RequestContext,
    now: number,
  ): Promise<void> {
    const told = { ...movedMailContext(session, context, now), signals: factsOf(finding) };
    await this.mails.add(tx, user.email!, SUSPICIOUS_MAIL, told, { now: new Date(now) });
    await this.audit.record(tx, {
      type: 'session_suspicious',
      userId: user.id,
      sessionId: session.id,
      context,
      details: findings(finding, session, context),
    });
  }
}

/** The problem `auth.session_ended` for a session that was ended because of its risk. */
export function endedForRisk({ revocation }: PendingRevocation) {
  return sessionEnded({ reason: 'suspicious', at: revocation.createdAt.getTime() });
}

/** The request context that a mail shows: time, device, IP address and country. */
export function movedMailContext(session: SessionSnapshot, { ip, place }: RequestContext, now: number) {
  return { at: new Date(now).toISOString(), device: session.device.name, ip, country: place?.country };
}

function factsOf({ signals }: RiskFinding): SignalFacts[] {
  return signals.map(({ facts }) => facts);
}

function findings({ response, signals }: RiskFinding, session: SessionSnapshot, { place }: RequestContext) {
  return {
    response,
    signals: signals.map(({ name }) => name),
    country: place?.country,
    originCountry: session.originCountry,
  };
}
