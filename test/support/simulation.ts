import { setImmediate as nextTurn } from 'node:timers/promises';
import { CachePort, CacheUnavailable, type CacheValue } from '../../src/cache/cache-port.js';
import { Clock } from '../../src/common/clock.js';
import { Problem } from '../../src/common/problem.js';
import type { Principal } from '../../src/common/request.js';
import { loadSettings } from '../../src/config/load-settings.js';
import { SessionCheck } from '../../src/sessions/session-check.js';
import type { SessionReader } from '../../src/sessions/session-reader.js';
import type { SessionSnapshot } from '../../src/sessions/session-snapshot.js';
import { VerdictCache } from '../../src/sessions/verdict-cache.js';

/** Small, seeded, good enough to choose schedules; never for anything secret. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class VirtualClock extends Clock {
  time = 1_700_000_000_000;
  override now = () => this.time;
  override monotonic = () => this.time;
}

/** A request on its way: first to the server, where it takes effect, then back. */
interface Flight {
  server: 'cache' | 'postgres';
  effect: () => unknown;
  result?: unknown;
  arrived: boolean;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

interface Row {
  snapshot: SessionSnapshot;
  endCommittedAt: number | null;
}

const SETTINGS = loadSettings({ NODE_ENV: 'test', CACHE_BUDGET: '1s' });

/**
 * The session check and its cache protocol, as shipped, over simulated stores: every request and every
 * answer is one step, and whoever drives the simulation chooses which step is next, what gets lost and
 * when time passes. It knows only the promises; see `violations`.
 */
export class Simulation {
  readonly violations: string[] = [];
  readonly history: string[] = [];
  private readonly clock = new VirtualClock();
  private readonly redis = new Map<string, { value: string; expiresAt: number }>();
  private readonly rows = new Map<string, Row>();
  private readonly flights: Flight[] = [];
  private readonly instances: { check: SessionCheck; verdicts: VerdictCache }[];
  private cacheDown = false;
  private postgresDown = false;
  /** Sessions whose end has answered `applied`, and the least role version that must be seen. */
  private readonly applied = new Set<string>();
  private readonly versions = new Map<string, number>();
  private running = 0;

  constructor(
    private readonly random: () => number,
    instances = 2,
    sessions = 2,
  ) {
    for (let index = 0; index < sessions; index++)
      this.addSession(`00000000-0000-7000-8000-00000000000${index}`);
    this.instances = Array.from({ length: instances }, () => {
      const verdicts = new VerdictCache(this.cachePort(), this.clock, SETTINGS);
      return { verdicts, check: new SessionCheck(this.reader(), verdicts, this.clock, SETTINGS) };
    });
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.step();
      await nextTurn();
      await nextTurn();
    }
    // Everything that is under way may end, so that no check is left without a judgement.
    this.cacheDown = this.postgresDown = false;
    while (this.running > 0 || this.flights.length > 0) {
      if (this.flights.length > 0) this.move(this.flights[0]!, true);
      await nextTurn();
      await nextTurn();
    }
  }

  private step(): void {
    const dice = this.random();
    if (dice < 0.5 && this.flights.length > 0) this.move(this.pick(this.flights), false);
    else if (dice < 0.72) this.startCheck();
    else if (dice < 0.78) this.startRevocation();
    else if (dice < 0.84) this.startRoleChange();
    else if (dice < 0.87) this.note('flush', () => this.redis.clear());
    else if (dice < 0.91) this.note('evict', () => this.redis.delete(this.pick([...this.redis.keys(), ''])));
    else if (dice < 0.96) this.note('time passes', () => (this.clock.time += this.someTime()));
    else if (dice < 0.98) this.note('cache up/down', () => (this.cacheDown = !this.cacheDown));
    else this.note('postgres up/down', () => (this.postgresDown = !this.postgresDown));
  }

  /** Within a reader's lease, or up to where a verdict is about to die. */
  private someTime(): number {
    return Math.floor(this.random() < 0.5 ? this.random() * 2_000 : 28_000 + this.random() * 2_000);
  }

  private startCheck(): void {
    const id = this.pick([...this.rows.keys()]);
    const at = this.pick(this.instances);
    const row = this.rows.get(id)!;
    const startedAt = this.clock.time;
    const mustRefuse = this.applied.has(id);
    const leastVersion = this.versions.get(id)!;
    this.note(`check ${id.at(-1)}`);
    const principal = { sessionId: id, userId: row.snapshot.userId } as Principal;
    const judgement = at.check.require(principal, { consistency: 'cached' }).then(
      (snapshot) => {
        this.note(`check ${id.at(-1)} lets in`);
        if (mustRefuse) this.violations.push('S1: let in after applied');
        if (row.endCommittedAt !== null && startedAt >= row.endCommittedAt + SETTINGS.cacheLease) {
          this.violations.push('S2: let in later than the lease after the end');
        }
        if (snapshot.roles.length < leastVersion)
          this.violations.push('roles: an older version after the change had answered');
      },
      (error: unknown) => {
        const code = error instanceof Problem ? error.code : String(error);
        this.note(`check ${id.at(-1)} answers ${code}`);
        if (code === 'auth.session_ended' && row.endCommittedAt === null)
          this.violations.push('refused a session that lives');
        if (code !== 'auth.session_ended' && code !== 'auth.unavailable')
          this.violations.push(`S3: a third outcome: ${code}`);
      },
    );
    this.track(judgement);
  }

  /** The transaction, then the tombstone, then the answer; a relay tries again what the cache did not hear. */
  private startRevocation(): void {
    const id = this.pick([...this.rows.keys()]);
    const { verdicts } = this.pick(this.instances);
    this.note(`revoke ${id.at(-1)}`);
    const act = async () => {
      const row = this.rows.get(id)!;
      await this.fly('postgres', () => {
        row.endCommittedAt ??= this.clock.time;
        row.snapshot = { ...row.snapshot, ended: { reason: 'admin', at: row.endCommittedAt } };
      });
      await verdicts.bury([id], row.snapshot.ended!);
      this.note(`revoke ${id.at(-1)} is applied`);
      this.applied.add(id);
    };
    this.track(act().catch(() => undefined));
  }

  private startRoleChange(): void {
    const id = this.pick([...this.rows.keys()]);
    const { verdicts } = this.pick(this.instances);
    this.note(`roles ${id.at(-1)}`);
    const act = async () => {
      const row = this.rows.get(id)!;
      const version = await this.fly('postgres', () => {
        row.snapshot = { ...row.snapshot, roles: [...row.snapshot.roles, 'user'] };
        return row.snapshot.roles.length;
      });
      await verdicts.forget([id]);
      this.note(`roles ${id.at(-1)} answers`);
      this.versions.set(id, Math.max(this.versions.get(id)!, version));
    };
    this.track(act().catch(() => undefined));
  }

  /** One step of one request. A client that gave up waiting does not call its request back. */
  private move(flight: Flight, kindly: boolean): void {
    const fails = flight.server === 'cache' ? this.cacheDown : this.postgresDown;
    if (!flight.arrived) {
      if (fails) return this.land(flight, () => flight.reject(this.failure(flight)));
      if (!kindly && flight.server === 'cache' && this.random() < 0.08) {
        this.note('the cache is late');
        flight.reject(this.failure(flight));
        flight.resolve = flight.reject = () => undefined;
        if (this.random() < 0.5) return this.land(flight, () => undefined);
        return;
      }
      flight.result = flight.effect();
      flight.arrived = true;
      return;
    }
    this.land(flight, () => flight.resolve(flight.result));
  }

  private land(flight: Flight, end: () => void): void {
    this.flights.splice(this.flights.indexOf(flight), 1);
    end();
  }

  private failure({ server }: Flight): Error {
    return server === 'cache' ? new CacheUnavailable() : new Problem('auth.unavailable');
  }

  private fly<T>(server: Flight['server'], effect: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.flights.push({ server, effect, arrived: false, resolve: resolve as Flight['resolve'], reject });
    });
  }

  private reader(): SessionReader {
    const readMany = (ids: string[]) =>
      this.fly('postgres', () => new Map(ids.map((id) => [id, this.rows.get(id)!.snapshot])));
    return {
      readMany,
      read: async (id: string) => (await readMany([id])).get(id),
    } as unknown as SessionReader;
  }

  /** What Redis does, atomically, at the moment of arrival. */
  private cachePort(): CachePort {
    const get = (key: string) => {
      const entry = this.redis.get(key);
      return entry && entry.expiresAt > this.clock.time ? entry.value : null;
    };
    const set = (key: string, value: CacheValue, ttl: number) =>
      void this.redis.set(key, { value: JSON.stringify(value), expiresAt: this.clock.time + ttl });
    const port: Omit<CachePort, 'kind'> & { kind: CachePort['kind'] } = {
      kind: 'redis',
      readMany: (keys) =>
        this.fly('cache', () => keys.map((key) => JSON.parse(get(key) ?? 'null') as CacheValue | null)),
      setIfAbsent: (entries, ttl) =>
        this.fly('cache', () =>
          entries.map(([key, value]) => {
            if (get(key) !== null) return false;
            set(key, value, ttl);
            return true;
          }),
        ),
      compareAndSet: (key, expected, value, ttl) =>
        this.fly('cache', () => {
          if (get(key) !== JSON.stringify(expected)) return false;
          set(key, value, ttl);
          return true;
        }),
      setMany: (entries, ttl) =>
        this.fly('cache', () => entries.forEach(([key, value]) => set(key, value, ttl))),
      deleteMany: (keys) => this.fly('cache', () => keys.forEach((key) => this.redis.delete(key))),
      ping: () => this.fly('cache', () => undefined),
    };
    return port;
  }

  private addSession(id: string): void {
    const now = this.clock.time;
    const snapshot: SessionSnapshot = {
      id,
      userId: '00000000-0000-4000-8000-0000000000ff',
      roles: ['user'],
      transport: 'cookie',
      ip: null,
      createdAt: now,
      lastSeenAt: now,
      authenticatedAt: now,
      deniedTokens: [],
      device: { id, name: 'a device', browser: null, os: null, firstSeenAt: now },
      ended: null,
    };
    this.rows.set(id, { snapshot, endCommittedAt: null });
    this.versions.set(id, 1);
  }

  private track(work: Promise<unknown>): void {
    this.running += 1;
    void work.finally(() => (this.running -= 1));
  }

  private note(what: string, act?: () => unknown): void {
    this.history.push(`${this.clock.time - 1_700_000_000_000} ${what}`);
    act?.();
  }

  private pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)]!;
  }
}
