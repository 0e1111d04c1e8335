import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditService } from '../audit/audit.service.js';
import { Clock } from '../common/clock.js';
import type { Origin } from '../common/request.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { MailOutbox } from '../mail/mail-outbox.js';
import type { User } from '../users/user.entity.js';
import { UserTransactions } from '../database/user-transactions.js';
import { describe } from './devices.service.js';
import { SessionHold, type HeldSession } from './held-session.js';
import { RevocationLog, type Recorded } from './revocation-log.js';
import { RevocationService } from './revocation.service.js';
import { reauthenticationRequired, sessionEnded } from './session-check.js';
import type { SessionSnapshot } from './session-snapshot.js';
import {
  accepted,
  responsesFor,
  signalsOf,
  suspicionOf,
  type Appearance,
  type Suspicion,
} from './suspicion.js';

/** The response to a risk signal, made under the session's lock. `recorded` is in force after `settle`. */
export interface Responded {
  response: Suspicion['response'] | null;
  recorded?: Recorded;
}

type Located = Pick<SessionSnapshot, 'location'>;

/**
 * Evaluates the session risk and acts on it: at login, at refresh and at each session check. `suspicion.ts` defines
 * the signals.
 */
@Injectable()
export class SuspicionService {
  constructor(
    private readonly transactions: UserTransactions,
    private readonly hold: SessionHold,
    private readonly log: RevocationLog,
    private readonly revocations: RevocationService,
    private readonly mails: MailOutbox,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /**
   * Evaluates a request of a live session. Without a risk signal it needs no I/O. With one, the record decides under
   * its lock.
   *
   * @param mayProve accepts a session that must reauthenticate, because the route reauthenticates
   * @returns undefined when there is nothing to await
   * @throws Problem `auth.session_ended` (this call has ended it), `auth.reauthentication_required`
   */
  examine(session: SessionSnapshot, origin: Origin, mayProve: boolean): Promise<void> | undefined {
    const suspicion = this.suspect(session, origin, this.clock.now());
    if (!suspicion || (suspicion.response === 'notify' && !suspicion.isNew)) return undefined;
    return this.look(session, origin, mayProve);
  }

  private async look(session: SessionSnapshot, origin: Origin, mayProve: boolean): Promise<void> {
    const { response, recorded } = await this.transactions.run(session.userId, async (tx) =>
      this.respond(tx, await this.hold.live(tx, session.userId, session.id), origin),
    );
    if (recorded) await this.revocations.settle(recorded);
    if (response === 'end') throw endedAsSuspicious(recorded!);
    if (response === 'reauthenticate' && !mayProve) throw reauthenticationRequired(0);
  }

  /** Whether a renewal of the session must first call {@link respond}. */
  isUnusual(session: SessionSnapshot, origin: Origin, now: number): boolean {
    return this.suspect(session, origin, now) !== null;
  }

  /**
   * Same as {@link examine}, but in the transaction of a caller that has locked the session. The caller settles the
   * revocation.
   */
  async respond(tx: EntityManager, held: HeldSession, origin: Origin): Promise<Responded> {
    const suspicion = this.suspect(held.session, origin, held.now);
    if (!suspicion) return { response: null };
    const { response, isNew, deviations } = suspicion;
    if (response === 'end') return { response, recorded: await this.end(tx, held, suspicion, origin) };
    if (!isNew) return { response };
    const { id, userId } = held.session;
    await tx.query('update sessions set deviations = $2 where id = $1', [id, deviations]);
    await this.tell(tx, held.user, held.session, suspicion, origin, held.now);
    return { response, recorded: await this.log.markStale(tx, userId, 'deviations') };
  }

  /**
   * Records that the user has reauthenticated in this request context: its risk signals are acknowledged for this
   * session.
   */
  async accept(tx: EntityManager, { session, now }: HeldSession, origin: Origin): Promise<void> {
    const signals = signalsOf(session, this.appearanceOf(origin), now);
    if (signals.length === 0) return;
    const deviations = accepted(session.deviations, signals);
    await tx.query('update sessions set deviations = $2 where id = $1', [session.id, deviations]);
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
    { isNewDevice, others, origin }: { isNewDevice: boolean; others: Located[]; origin: Origin },
  ): Promise<void> {
    const now = session.createdAt;
    if (isNewDevice && this.settings.suspicionNewDevice === 'notify') {
      await this.mails.add(tx, user.email!, 'new_device', circumstances(session, origin, now), new Date(now));
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
    const suspicion = this.suspect(familiar, origin, now);
    if (suspicion) await this.tell(tx, user, session, suspicion, origin, now);
  }

  private suspect(session: SessionSnapshot, origin: Origin, now: number): Suspicion | null {
    const signals = signalsOf(session, this.appearanceOf(origin), now);
    if (signals.length === 0) return null;
    return suspicionOf(signals, session.deviations, responsesFor(session.roles, this.settings));
  }

  private appearanceOf({ place, userAgent }: Origin): Appearance {
    return { place, browser: describe(userAgent).browser };
  }

  private async end(
    tx: EntityManager,
    { user, session, userAgent, now }: HeldSession,
    suspicion: Suspicion,
    origin: Origin,
  ): Promise<Recorded> {
    const told = { ...circumstances(session, origin, now), signal: said(suspicion) };
    await this.mails.add(tx, user.email!, 'session_ended_as_suspicious', told, new Date(now));
    return this.log.endSessions(
      tx,
      user.id,
      { only: [session.id] },
      {
        reason: 'suspicious',
        actorId: null,
        origin,
        audit: 'session_suspicious',
        details: { ...findings(suspicion, session, origin), before: { ip: session.ip, userAgent } },
      },
    );
  }

  private async tell(
    tx: EntityManager,
    user: User,
    session: SessionSnapshot,
    suspicion: Suspicion,
    origin: Origin,
    now: number,
  ): Promise<void> {
    const told = { ...circumstances(session, origin, now), signal: said(suspicion) };
    await this.mails.add(tx, user.email!, 'suspicious', told, new Date(now));
    await this.audit.record(tx, {
      type: 'session_suspicious',
      userId: user.id,
      sessionId: session.id,
      origin,
      details: findings(suspicion, session, origin),
    });
  }
}

/** The problem `auth.session_ended` for a session that was ended because of its risk. */
export function endedAsSuspicious({ revocation }: Recorded) {
  return sessionEnded({ reason: 'suspicious', at: revocation.createdAt.getTime() });
}

/** The request context that a mail shows: time, device, IP address and country. */
export function circumstances(session: SessionSnapshot, { ip, place }: Origin, now: number) {
  return { at: new Date(now).toISOString(), device: session.device.name, ip, country: place?.country };
}

function said({ signals }: Suspicion): string {
  return signals.map(({ says }) => says).join('; ');
}

function findings({ response, signals }: Suspicion, session: SessionSnapshot, { place }: Origin) {
  return {
    response,
    signals: signals.map(({ name }) => name),
    country: place?.country,
    originCountry: session.originCountry,
  };
}
