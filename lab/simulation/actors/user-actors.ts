import type { Role } from '../../../src/roles.js';
import type { SimulatedInstance } from '../instance.js';
import { versionOf } from '../oracle.js';
import type { Choice, Schedule } from '../schedule.js';
import { OPERATOR } from '../scopes.js';
import { CAUSE } from './session-actors.js';

/** The roles of a user after so many changes: each second change takes the role away. */
export function rolesAfter(changes: number): Role[] {
  return [
    ...Array.from({ length: changes + 1 }, (): Role => 'user'),
    ...(changes % 2 === 0 ? [OPERATOR] : []),
  ];
}

/** Admins: they change and ban users, and end the sessions of a user or of everyone. */
export class UserActors {
  constructor(private readonly schedule: Schedule) {}

  choices(): Choice[] {
    const { schedule } = this;
    const isBanned = [...schedule.world.postgres.users.values()].some(({ bannedAt }) => bannedAt !== null);
    return [
      [0.7, () => schedule.onSome((at) => this.end(at))],
      [0.4, () => schedule.onSome((at) => this.ban(at))],
      [isBanned ? 3 : 0, () => schedule.onSome((at) => this.liftBan(at))],
      [0.4, () => schedule.onSome((at) => this.endEveryone(at))],
    ];
  }

  changeRoles(at: SimulatedInstance): void {
    const { schedule } = this;
    const { id, name } = this.someUser();
    schedule.note(`roles of ${name} at ${schedule.nameOf(at)}`, 'changes of roles');
    schedule.task(at, async () => {
      let changed = 0;
      const { revocations, users, writer } = at.services;
      const receipt = await revocations.commit(id, async (tx) => {
        const { roles } = (await users.lock(tx, id))!;
        changed = versionOf(roles) + 1;
        await users.setRoles(tx, id, rolesAfter(changed));
        return writer.markStale(tx, id, 'roles');
      });
      if (receipt.status === 'applied') schedule.oracle.lives.rolesOf(id).answered(changed);
    });
  }

  /** A logout everywhere: the grants of the user end, too, and the keys go on. */
  private end(at: SimulatedInstance): void {
    const { schedule } = this;
    const { id, name } = this.someUser();
    const { sessions, grants } = this.owned(id);
    schedule.note(`end all of ${name} at ${schedule.nameOf(at)}`, 'ends of users');
    schedule.end(at, [...sessions, ...grants], () =>
      at.services.revocations.endUser(id, { reason: 'admin', ...CAUSE }),
    );
  }

  private ban(at: SimulatedInstance): void {
    const { schedule } = this;
    const { id, name } = this.someUser();
    const { sessions, grants, keys } = this.owned(id);
    const { revocations, users, writer } = at.services;
    schedule.note(`ban ${name} at ${schedule.nameOf(at)}`, 'bans');
    schedule.end(at, [...sessions, ...grants, ...keys], () =>
      revocations.commit(
        id,
        async (tx) => {
          const bannedAt = new Date(schedule.world.clock.time);
          await users.setBan(tx, id, { bannedAt, bannedUntil: null, banReason: null });
          return writer.endSessions(tx, id, 'all', { reason: 'ban', ...CAUSE });
        },
        { reserved: true },
      ),
    );
  }

  private liftBan(at: SimulatedInstance): void {
    const { schedule } = this;
    const { id, name } = this.someUser();
    const { revocations, users, writer } = at.services;
    schedule.note(`lift the ban of ${name} at ${schedule.nameOf(at)}`, 'lifted bans');
    schedule.task(at, () =>
      revocations.commit(id, async (tx) => {
        await users.setBan(tx, id, null);
        return writer.markStale(tx, id, 'ban_lifted');
      }),
    );
  }

  private endEveryone(at: SimulatedInstance): void {
    const { schedule } = this;
    const { sessions, grants } = schedule.world.postgres;
    schedule.note(`end everyone at ${schedule.nameOf(at)}`, 'ends of everyone');
    schedule.end(at, [...sessions.keys(), ...grants.keys()], () =>
      at.services.revocations.endEveryone({ reason: 'admin_everyone', ...CAUSE }),
    );
  }

  private owned(userId: string) {
    const { sessions, keys, grants } = this.schedule.world.postgres;
    const idsIn = (table: Map<string, { userId: string }>) =>
      [...table].flatMap(([id, row]) => (row.userId === userId ? [id] : []));
    const owners = new Map([...sessions].map(([id, { snapshot }]) => [id, snapshot]));
    return { sessions: idsIn(owners), keys: idsIn(keys), grants: idsIn(grants) };
  }

  private someUser() {
    const id = this.schedule.pick([...this.schedule.world.postgres.users.keys()]);
    return { id, name: this.schedule.named(id) };
  }
}
