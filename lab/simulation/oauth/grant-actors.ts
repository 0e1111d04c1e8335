import { Problem } from '../../../src/platform/api/problem.js';
import type { SimulatedInstance } from '../instance.js';
import type { Choice, Schedule } from '../schedule.js';
import { CAUSE } from '../actors/session-actors.js';
import { newGrantRow } from './grant-row.js';
import { grantsAt } from './grant-services.js';

const MAX_GRANTS = 6;
const CONTEXT = { ip: null } as never;

/** Apps to which users have given grants: some grants end with their session, and some outlive it. */
export class GrantActors {
  private focus: string;

  constructor(private readonly schedule: Schedule) {
    const { clock, postgres } = schedule.world;
    for (const { snapshot } of postgres.sessions.values()) {
      for (const sessionId of [snapshot.id, null]) {
        const row = newGrantRow(snapshot.userId, sessionId, clock.time);
        postgres.grants.set(row.id, row);
      }
    }
    this.focus = [...postgres.grants.keys()][0]!;
  }

  choices(): Choice[] {
    const { schedule } = this;
    return [
      [7, () => schedule.onSome((at) => this.check(at))],
      [3, () => schedule.onSome((at) => this.access(at))],
      [1, () => schedule.onSome((at) => this.end(at))],
      [1.5, () => schedule.onSome((at) => this.give(at))],
    ];
  }

  private check(at: SimulatedInstance): void {
    const { schedule } = this;
    const id = this.someGrant();
    const beginning = schedule.oracle.begin(id, true);
    const where = `${schedule.named(id)} at ${schedule.nameOf(at)}`;
    schedule.note(`check ${where}`, 'checks of grants');
    schedule.task(at, async () => {
      try {
        const grant = await grantsAt(at).check.live(id);
        if (!grant) throw new Problem('auth.invalid_token');
        schedule.note(`${where} is accepted`, 'accepted grants');
        schedule.oracle.accepted(beginning, grant.ownerRoles);
      } catch (error) {
        schedule.oracle.refused(beginning, error);
      }
    });
  }

  private access(at: SimulatedInstance): void {
    const { schedule } = this;
    const id = this.someGrant();
    const { sessionId, userId } = schedule.world.postgres.grants.get(id)!;
    const denied = grantsAt(at).denies({ grant_id: id, sid: sessionId ?? undefined, sub: userId });
    const outcome = denied ? 'refused' : 'accepted';
    schedule.note(
      `access ${schedule.named(id)} at ${schedule.nameOf(at)}: ${outcome}`,
      'access with tokens of grants',
    );
    schedule.oracle.access(at, id, denied);
  }

  private end(at: SimulatedInstance): void {
    const { schedule } = this;
    const id = this.someGrant();
    schedule.note(`end ${schedule.named(id)} at ${schedule.nameOf(at)}`, 'ends of grants');
    schedule.end(at, [id], () => grantsAt(at).service.end(id, { reason: 'revoked', ...CAUSE }));
  }

  private give(at: SimulatedInstance): void {
    const { schedule } = this;
    const { clock, postgres } = schedule.world;
    // Time passes in steps. In the instant of the end of everyone's sessions, a new grant would count as an older one.
    if (postgres.grants.size >= MAX_GRANTS || clock.time <= postgres.epoch) return;
    const userId = schedule.pick([...postgres.users.keys()]);
    const session = schedule.pick(postgres.liveSessionsOf(userId));
    if (!session) return;
    const outlivesSession = schedule.random() < 0.5;
    const app = { clientId: 'app', clientName: 'an app', scopes: [], outlivesSession };
    schedule.note(`a new grant of ${schedule.named(userId)} at ${schedule.nameOf(at)}`, 'new grants');
    schedule.task(at, () => grantsAt(at).service.give(session, app, CONTEXT));
  }

  private someGrant(): string {
    const { schedule } = this;
    if (schedule.random() < 0.3) this.focus = schedule.pick([...schedule.world.postgres.grants.keys()]);
    return this.focus;
  }
}
