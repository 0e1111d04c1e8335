import { Problem } from '../../src/platform/api/problem.js';
import type { SessionSnapshot } from '../../src/sessions/check/session-snapshot.js';
import { SETTINGS, type SimulatedInstance, type World } from './instance.js';

const BLIND_AFTER_MS = 5_000;

/** The facts known when a request began, by which its answer is judged. */
export interface Beginning {
  sessionId: string;
  startedAt: number;
  mustRefuse: boolean;
  leastRoles: number;
}

/** Has the promises, and no knowledge of their implementation. */
export class Oracle {
  readonly violations: string[] = [];
  /** Sessions whose end has answered `applied`. */
  private readonly applied = new Set<string>();
  /** Sessions whose end has any answer. */
  private readonly answered = new Set<string>();
  private readonly roles = new Map<string, number>();
  /** For each instance, the last event before the latest poll of it that has succeeded. */
  private readonly heardUpTo = new WeakMap<SimulatedInstance, number>();
  private readonly endedAtEvent = new Map<string, number>();

  constructor(private readonly world: World) {}

  /** An end was answered: `applied`, or `pending`. */
  ended(sessionIds: string[], applied: boolean): void {
    for (const id of sessionIds) {
      this.answered.add(id);
      if (applied) this.applied.add(id);
    }
  }

  committed(sessionIds: string[], event: number): void {
    for (const id of sessionIds) if (!this.endedAtEvent.has(id)) this.endedAtEvent.set(id, event);
  }

  rolesAnswered(sessionId: string, count: number): void {
    this.roles.set(sessionId, Math.max(this.roles.get(sessionId) ?? 1, count));
  }

  heard(instance: SimulatedInstance, upTo: number): void {
    this.heardUpTo.set(instance, Math.max(this.heardUpTo.get(instance) ?? 0, upTo));
  }

  begin(sessionId: string): Beginning {
    return {
      sessionId,
      startedAt: this.world.clock.time,
      mustRefuse: this.applied.has(sessionId),
      leastRoles: this.roles.get(sessionId) ?? 1,
    };
  }

  letIn({ sessionId, startedAt, mustRefuse, leastRoles }: Beginning, snapshot: SessionSnapshot): void {
    const { endCommittedAt } = this.world.postgres.sessions.get(sessionId)!;
    if (mustRefuse) this.violations.push('S1: accepted after applied');
    if (endCommittedAt !== null && startedAt >= endCommittedAt + SETTINGS.cacheLease)
      this.violations.push('S2: accepted later than the lease after the end');
    if (snapshot.roles.length < leastRoles)
      this.violations.push('roles: older than the change that had answered');
  }

  refused({ sessionId }: Beginning, error: unknown): void {
    const code = error instanceof Problem ? error.code : String(error);
    const { endCommittedAt } = this.world.postgres.sessions.get(sessionId)!;
    if (code === 'auth.session_ended' && endCommittedAt === null)
      this.violations.push('refused a session that lives');
    if (code !== 'auth.session_ended' && code !== 'auth.unavailable')
      this.violations.push(`S3: a third outcome: ${code}`);
  }

  /** Judges an answer of an instance's access tier for a token of the session. */
  access(instance: SimulatedInstance, sessionId: string, denied: boolean): void {
    const { endCommittedAt } = this.world.postgres.sessions.get(sessionId)!;
    if (!instance.ready) this.violations.push('A3: served before it was ready');
    if (denied && endCommittedAt === null) this.violations.push('access: refused a session that lives');
    if (denied || endCommittedAt === null) return;
    const event = this.endedAtEvent.get(sessionId)!;
    if ((this.heardUpTo.get(instance) ?? -1) >= event)
      this.violations.push('A1: accepted after a poll that began after the end');
    if (!instance.feed.isBlind() && endCommittedAt < this.world.clock.time - BLIND_AFTER_MS)
      this.violations.push('A2: lacks an end of more than 5 s ago and does not know');
  }

  refreshed(sessionId: string, wasOver: boolean, outcome: string): void {
    if (wasOver && outcome !== 'ended') this.violations.push(`R1: ${outcome} after the end had answered`);
    if (['reuse', 'superseded', 'unknown'].includes(outcome))
      this.violations.push(`R2: an honest client got ${outcome}`);
    if (outcome === 'ended' && this.world.postgres.sessions.get(sessionId)!.endCommittedAt === null)
      this.violations.push('R2: an honest client got the end of its session');
  }

  isOver(sessionId: string): boolean {
    return this.answered.has(sessionId);
  }

  loggedIn(live: number, limit: number): void {
    if (live > limit) this.violations.push(`L1: ${live} live sessions`);
  }
}
