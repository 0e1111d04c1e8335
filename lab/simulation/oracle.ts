import { Problem } from '../../src/platform/api/problem.js';
import type { Role } from '../../src/roles.js';
import { SETTINGS, type SimulatedInstance, type World } from './instance.js';
import { Lives, type Life } from './lives.js';
import { OPERATOR } from './scopes.js';

const BLIND_AFTER_MS = 5_000;

/** The facts known when a check began, by which its answer is judged. */
export interface Beginning {
  life: Life;
  /** Whether it reads PostgreSQL in any case. */
  isStrict: boolean;
  startedAt: number;
  mustRefuse: boolean;
  endHadCommitted: boolean;
  /** The latest versions that had committed, and the oldest ones that the answer may be based on. */
  committed: { roles: number; secret: number };
  oldest: { roles: number; secret: number };
}

/** A check of an API key: the secret, and whether its scope needs a role of the owner. */
export interface KeyUse {
  digest: string;
  needsRole: boolean;
}

/** Has the promises, and no knowledge of their implementation. */
export class Oracle {
  readonly violations: string[] = [];
  readonly lives: Lives;
  /** For each instance, the last event before the latest poll of it that has succeeded. */
  private readonly heardUpTo = new WeakMap<SimulatedInstance, number>();

  constructor(private readonly world: World) {
    this.lives = new Lives(world.postgres, (violation) => this.violations.push(violation));
  }

  /** An end was answered: `applied`, or `pending`. */
  ended(ids: string[], isApplied: boolean): void {
    for (const id of this.lives.withGrants(ids)) {
      const life = this.lives.of(id);
      life.isAnswered = true;
      if (isApplied) life.isApplied = true;
    }
  }

  heard(instance: SimulatedInstance, upTo: number): void {
    this.heardUpTo.set(instance, Math.max(this.heardUpTo.get(instance) ?? 0, upTo));
  }

  begin(id: string, isStrict: boolean): Beginning {
    const life = this.lives.of(id);
    const startedAt = this.world.clock.time;
    const { roles, secrets } = life;
    const endHadCommitted = life.endCommittedAt !== null;
    const committed = { roles: roles.latest, secret: secrets.latest };
    const oldest = {
      roles: Math.max(roles.outlived(startedAt - SETTINGS.cacheLease), roles.applied),
      secret: Math.max(secrets.outlived(startedAt - SETTINGS.cacheLease), secrets.applied),
    };
    return {
      life,
      isStrict,
      startedAt,
      committed,
      endHadCommitted,
      oldest: isStrict ? committed : oldest,
      mustRefuse: life.isApplied,
    };
  }

  /** @param roles of the user, as the answer has them; null if it has none */
  accepted(beginning: Beginning, roles: readonly Role[] | null): void {
    const { life, startedAt, isStrict } = beginning;
    const { endCommittedAt, kind } = life;
    if (beginning.mustRefuse) this.violate(`S1: accepted a ${kind} after applied`);
    if (endCommittedAt !== null && startedAt >= endCommittedAt + SETTINGS.cacheLease)
      this.violate(`S2: accepted a ${kind} later than the lease after the end`);
    if (isStrict && beginning.endHadCommitted)
      this.violate(`S5: a strict check accepted a ${kind} after the commit of its end`);
    if (roles && versionOf(roles) < beginning.oldest.roles)
      this.violate(`roles of a ${kind}: older than the change that had answered`);
  }

  acceptedKey(beginning: Beginning, { digest, needsRole }: KeyUse): void {
    const { life, startedAt, oldest } = beginning;
    this.accepted(beginning, null);
    const isGood = life.secrets.some(
      oldest.secret,
      (secret) =>
        secret.digest === digest || (secret.previous === digest && secret.previousUntil! > startedAt),
    );
    if (!isGood) this.violate('rotation: accepted a former secret after its overlap');
    if (needsRole && !life.roles.some(oldest.roles, (roles) => roles.includes(OPERATOR)))
      this.violate('scope: accepted without the role of the owner');
  }

  refused({ life }: Beginning, error: unknown): void {
    const code = codeOf(error);
    const { kind, endCommittedAt } = life;
    const ended = kind === 'session' ? 'auth.session_ended' : 'auth.invalid_token';
    if (code === ended && endCommittedAt === null) this.violate(`refused a ${kind} that lives`);
    if (code !== ended && code !== 'auth.unavailable') this.violate(`S3: a third outcome: ${code}`);
  }

  refusedKey({ life, committed }: Beginning, { digest, needsRole }: KeyUse, error: unknown): void {
    const code = codeOf(error);
    const now = this.world.clock.time;
    if (code === 'auth.unavailable') return;
    if (code === 'auth.insufficient_scope') {
      const lacked = life.roles.some(committed.roles, (roles) => !roles.includes(OPERATOR));
      if (!needsRole || !lacked) this.violate('refused a key that has the scope');
    } else if (code === 'auth.invalid_key') {
      const wasBad = life.secrets.some(
        committed.secret,
        (secret) => secret.digest !== digest && !(secret.previous === digest && secret.previousUntil! > now),
      );
      if (life.endCommittedAt === null && !wasBad) this.violate('refused a key that lives');
    } else this.violate(`S3: a third outcome: ${code}`);
  }

  /** Judges an answer of an instance's access tier for a token of the session, for a key, or for a token of an app. */
  access(instance: SimulatedInstance, id: string, denied: boolean): void {
    const { kind, endCommittedAt, endedAtEvent } = this.lives.of(id);
    if (!instance.ready) this.violate('A3: served before it was ready');
    if (denied && endCommittedAt === null) this.violate(`access: refused a ${kind} that lives`);
    if (denied || endCommittedAt === null) return;
    if ((this.heardUpTo.get(instance) ?? -1) >= endedAtEvent)
      this.violate(`A1: accepted a ${kind} after a poll that began after the end`);
    if (!instance.feed.isBlind() && endCommittedAt < this.world.clock.time - BLIND_AFTER_MS)
      this.violate(`A2: lacks an end of a ${kind} of more than 5 s ago and does not know`);
  }

  refreshed(sessionId: string, wasOver: boolean, outcome: string): void {
    if (wasOver && outcome !== 'ended') this.violate(`R1: ${outcome} after the end had answered`);
    if (['reuse', 'superseded', 'unknown'].includes(outcome))
      this.violate(`R2: an honest client got ${outcome}`);
    if (outcome === 'ended' && this.lives.of(sessionId).endCommittedAt === null)
      this.violate('R2: an honest client got the end of its session');
  }

  loggedIn(live: number, limit: number): void {
    if (live > limit) this.violate(`L1: ${live} live sessions`);
  }

  private violate(violation: string): void {
    this.violations.push(violation);
  }
}

/** The explorer writes the number of the change into the roles. */
export function versionOf(roles: readonly Role[]): number {
  return roles.filter((role) => role === 'user').length - 1;
}

function codeOf(error: unknown): string {
  return error instanceof Problem ? error.code : String(error);
}
