import type { Role } from '../../src/roles.js';
import type { SimulatedPostgres } from './stores/simulated-postgres.js';
import { Versions } from './versions.js';

type Kind = 'session' | 'key' | 'grant';

/** The secret of an API key, and the former one with the end of its overlap. */
interface Secret {
  digest: string;
  previous: string | null;
  previousUntil: number | null;
}

/** The history of a session, a key or a grant: its commits, and the answers that clients have got. */
export interface Life {
  readonly kind: Kind;
  endCommittedAt: number | null;
  endedAtEvent: number;
  /** Its end has any answer. */
  isAnswered: boolean;
  /** Its end has answered `applied`. */
  isApplied: boolean;
  readonly roles: Versions<readonly Role[]>;
  /** Only keys have some. */
  readonly secrets: Versions<Secret>;
}

/** Follows the records of PostgreSQL from commit to commit. */
export class Lives {
  private readonly lives = new Map<string, Life>();
  private readonly roles = new Map<string, Versions<readonly Role[]>>();

  constructor(
    private readonly postgres: SimulatedPostgres,
    private readonly violate: (violation: string) => void,
  ) {}

  of(id: string): Life {
    return this.lives.get(id)!;
  }

  rolesOf(userId: string): Versions<readonly Role[]> {
    return this.roles.get(userId)!;
  }

  /** These sessions, and the grants that end with them; other ids stay as they are. */
  withGrants(ids: string[]): string[] {
    const dependent = [...this.postgres.grants.values()].filter(
      ({ sessionId }) => sessionId !== null && ids.includes(sessionId),
    );
    return [...ids, ...dependent.map(({ id }) => id)];
  }

  /** Call it after each commit. */
  observe(event: number): void {
    const { users, sessions, keys, grants } = this.postgres;
    for (const { id, roles } of users.values()) this.observeRoles(id, roles);
    for (const id of sessions.keys()) {
      const { userId, ended } = this.postgres.session(id);
      this.observeLife(this.known(id, 'session', userId), ended !== null, event);
    }
    for (const id of keys.keys()) {
      const key = this.postgres.key(id);
      const life = this.known(id, 'key', key.userId);
      this.observeLife(life, key.ended !== null, event);
      const { digest, previousDigest: previous, previousUntil } = key;
      if (life.secrets.latest < key.rotation)
        life.secrets.commit({ digest, previous, previousUntil }, this.postgres.clock.time);
    }
    for (const id of grants.keys()) {
      const { userId, ended, sessionId } = this.postgres.grant(id);
      const isOver = ended !== null || (sessionId !== null && this.of(sessionId).endCommittedAt !== null);
      this.observeLife(this.known(id, 'grant', userId), isOver, event);
    }
  }

  private observeRoles(userId: string, roles: readonly Role[]): void {
    let versions = this.roles.get(userId);
    if (!versions) this.roles.set(userId, (versions = new Versions()));
    if (!versions.some(versions.latest, (latest) => latest === roles))
      versions.commit(roles, this.postgres.clock.time);
  }

  private observeLife(life: Life, isOver: boolean, event: number): void {
    if (!isOver && life.endCommittedAt !== null) this.violate(`S5: an ended ${life.kind} is active again`);
    if (!isOver || life.endCommittedAt !== null) return;
    life.endCommittedAt = this.postgres.clock.time;
    life.endedAtEvent = event;
  }

  private known(id: string, kind: Kind, userId: string): Life {
    let life = this.lives.get(id);
    if (!life) {
      const roles = this.rolesOf(userId);
      life = {
        kind,
        endCommittedAt: null,
        endedAtEvent: 0,
        isAnswered: false,
        isApplied: false,
        roles,
        secrets: new Versions(),
      };
      this.lives.set(id, life);
    }
    return life;
  }
}
