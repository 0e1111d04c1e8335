import type { Principal } from '../../../src/platform/http/request.js';
import { anchorOf, rotate, type RefreshPosition } from '../../../src/sessions/refresh/rotation.js';
import { shareEpoch } from '../../../src/sessions/revocation/session-epoch.repository.js';
import type { RevocationTx } from '../../../src/sessions/revocation/revocation-writer.js';
import { SETTINGS, type SimulatedInstance } from '../instance.js';
import type { Choice, Schedule } from '../schedule.js';
import { newSessionRow } from '../stores/records.js';
import type { SimulatedTx } from '../stores/simulated-database.js';

const LIMIT = 3;
const MAX_SESSIONS = 8;
export const CAUSE = { actorId: null, context: null };

/** A cookie jar that several tabs share, with the refresh token that arrived last. */
interface Jar {
  userId: string;
  token: RefreshPosition;
}

/** Clients with sessions: their checks, logins and refreshes, and the ends of single sessions. */
export class SessionActors {
  private readonly jars = new Map<string, Jar>();
  private focus: string;

  constructor(private readonly schedule: Schedule) {
    for (const userId of schedule.world.postgres.users.keys()) this.save(userId);
    this.focus = [...this.jars.keys()][0]!;
  }

  choices(): Choice[] {
    const { schedule } = this;
    return [
      [20, () => schedule.onSome((at) => this.check(at))],
      [6, () => schedule.onSome((at) => this.access(at))],
      [2, () => schedule.onSome((at) => this.revoke(at))],
      [2, () => schedule.onSome((at) => this.login(at))],
    ];
  }

  /** From any of the tabs that share a jar; a tab aborts an exchange that takes too long, as clients should. */
  refresh(at: SimulatedInstance): void {
    const { schedule } = this;
    const [sessionId, jar] = schedule.pick([...this.jars]);
    const { token } = jar;
    const wasOver = schedule.oracle.lives.of(sessionId).isAnswered;
    const { clock, network, postgres } = schedule.world;
    const decide = () => {
      if (postgres.session(sessionId).ended) return { outcome: 'ended' as const };
      const row = postgres.sessions.get(sessionId)!;
      const moment = { now: clock.time, grace: SETTINGS.refreshGrace, proof: true };
      const { state, decision } = rotate(row.rotation, token, moment);
      row.rotation = state;
      return decision;
    };
    schedule.note(
      `refresh ${schedule.named(sessionId)} with ${token.generation}.${token.sibling}`,
      'refreshes',
    );
    schedule.task(at, async () => {
      const mayArrive = () => postgres.isFree(`user ${jar.userId}`) && postgres.isFree('shared epoch');
      const decision = await network.fly(at, 'postgres', decide, {
        mayArrive,
        patience: SETTINGS.refreshGrace / 3,
      });
      schedule.oracle.refreshed(sessionId, wasOver, decision.outcome);
      if (decision.outcome === 'issue') jar.token = decision.token;
    });
  }

  private check(at: SimulatedInstance): void {
    const { schedule } = this;
    const sessionId = this.someSession();
    const isStrict = schedule.random() < 0.1;
    const beginning = schedule.oracle.begin(sessionId, isStrict);
    const principal = { ...this.owned(sessionId), tokenId: '', keyVersion: 0 } as Principal;
    const where = `${schedule.named(sessionId)} at ${schedule.nameOf(at)}`;
    schedule.note(`check ${where}`, 'checks of sessions');
    schedule.task(at, async () => {
      try {
        const consistency = isStrict ? 'strict' : 'cached';
        const { roles } = await at.check.require(principal, { consistency });
        schedule.note(`${where} is accepted`, 'accepted sessions');
        schedule.oracle.accepted(beginning, roles);
      } catch (error) {
        schedule.oracle.refused(beginning, error);
      }
    });
  }

  private access(at: SimulatedInstance): void {
    const { schedule } = this;
    const sessionId = this.someSession();
    const denied = at.denials.endOf(this.owned(sessionId)) !== null;
    const outcome = denied ? 'refused' : 'accepted';
    schedule.note(
      `access ${schedule.named(sessionId)} at ${schedule.nameOf(at)}: ${outcome}`,
      'access with tokens of sessions',
    );
    schedule.oracle.access(at, sessionId, denied);
  }

  private revoke(at: SimulatedInstance): void {
    const { schedule } = this;
    const id = schedule.pick([...schedule.world.postgres.sessions.keys()]);
    schedule.note(`end ${schedule.named(id)} at ${schedule.nameOf(at)}`, 'ends of sessions');
    schedule.end(at, [id], () => at.services.revocations.endSession(id, { reason: 'admin', ...CAUSE }));
  }

  private login(at: SimulatedInstance): void {
    const { schedule } = this;
    const { postgres } = schedule.world;
    if (postgres.sessions.size >= MAX_SESSIONS) return;
    const user = schedule.pick([...postgres.users.values()]);
    schedule.note(`login of ${schedule.named(user.id)} at ${schedule.nameOf(at)}`, 'logins');
    schedule.end(at, [], () =>
      at.services.revocations.commit(user.id, async (tx) => {
        await shareEpoch(tx);
        return user.bannedAt === null ? this.open(at, tx, user.id) : null;
      }),
    );
  }

  /** Ends the oldest sessions beyond the limit in the same transaction. */
  private async open({ services }: SimulatedInstance, tx: RevocationTx, userId: string) {
    const { world, oracle } = this.schedule;
    const live = world.postgres.liveSessionsOf(userId);
    const only = live.slice(0, Math.max(0, live.length + 1 - LIMIT)).map(({ id }) => id);
    const cause = { reason: 'session_limit' as const, ...CAUSE };
    const pending = only.length > 0 ? await services.writer.endSessions(tx, userId, { only }, cause) : null;
    (tx as unknown as SimulatedTx).transaction.writes.push(() => {
      this.save(userId);
      oracle.loggedIn(world.postgres.liveSessionsOf(userId).length, LIMIT);
    });
    return pending;
  }

  /** No session is older than the last end of all sessions. */
  private save(userId: string): void {
    const { clock, postgres } = this.schedule.world;
    const { notBefore } = postgres.users.get(userId)!;
    const row = newSessionRow(userId, Math.max(clock.time, notBefore + 1, postgres.epoch + 1));
    postgres.sessions.set(row.snapshot.id, row);
    this.jars.set(row.snapshot.id, { userId, token: anchorOf(row.rotation) });
  }

  private owned(sessionId: string) {
    return { sessionId, userId: this.schedule.world.postgres.sessions.get(sessionId)!.snapshot.userId };
  }

  /** Mostly the session of the last request, because faults concentrate on one session. */
  private someSession(): string {
    const { schedule } = this;
    if (schedule.random() < 0.3) this.focus = schedule.pick([...schedule.world.postgres.sessions.keys()]);
    return this.focus;
  }
}
