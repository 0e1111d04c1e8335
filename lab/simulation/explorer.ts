import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Principal } from '../../src/platform/http/request.js';
import { anchorOf, rotate, type RefreshPosition } from '../../src/sessions/refresh/rotation.js';
import { SETTINGS, SimulatedInstance, type World } from './instance.js';
import { Network, VirtualClock, type Flight } from './network.js';
import { Oracle } from './oracle.js';
import { SimulatedPostgres, SimulatedRedis, type RevocationRow, type Transaction } from './stores.js';

const USERS = ['00000000-0000-4000-8000-0000000000f0', '00000000-0000-4000-8000-0000000000f1'] as const;
const LIMIT = 3;
const MOST_SESSIONS = 8;
const TROUBLES = 11;
/** A few statements each, and one that moves in each turn. */
const BOOT_TURNS = 100;

type Choice = [weight: number, act: () => void];

/** A cookie jar that several tabs share, with the refresh token that arrived last. */
interface Jar {
  userId: string;
  token: RefreshPosition;
}

/**
 * Drives instances of the shipped code over simulated stores. A seed decides on the next event, losses, crashes and
 * the time. One seed is one schedule.
 */
export class Explorer {
  readonly history: string[] = [];
  private readonly world: World;
  private readonly oracle: Oracle;
  private readonly instances: SimulatedInstance[] = [];
  private readonly jars = new Map<string, Jar>();
  private readonly tasks = new Set<{ at: SimulatedInstance }>();
  private readonly transactions = new Map<Transaction, SimulatedInstance>();
  private event = 0;
  private focus: string;
  /** Each schedule has only some kinds of faults, because all at once would hide each other. */
  private readonly troubled: Set<number>;
  private readonly lossy: boolean;

  constructor(private readonly random: () => number) {
    this.troubled = new Set(
      Array.from({ length: TROUBLES }, (_, index) => index).filter(() => random() < 0.4),
    );
    this.lossy = random() < 0.5;
    const clock = new VirtualClock();
    this.world = {
      clock,
      network: new Network(clock),
      redis: new SimulatedRedis(clock),
      postgres: new SimulatedPostgres(clock),
    };
    this.oracle = new Oracle(this.world);
    this.world.postgres.notify = () => this.notifyAll();
    for (const userId of USERS) this.keepJar(this.world.postgres.login('', userId).snapshot.id, userId);
    this.focus = [...this.jars.keys()][0]!;
  }

  get violations(): string[] {
    return this.oracle.violations;
  }

  async run(steps: number): Promise<void> {
    for (let count = 0; count < 2; count++) this.boot(count);
    for (let turn = 0; this.instances.some(({ ready }) => !ready); turn++) {
      if (turn > BOOT_TURNS) throw new Error('an instance without faults does not boot');
      await this.settle(this.world.network.flights[0]);
    }
    for (let step = 0; step < steps && this.violations.length === 0; step++) {
      this.event += 1;
      this.step();
      await this.turns();
    }
    // All pending requests may end, so that every one of them is judged.
    const { network } = this.world;
    network.down.cache = network.down.postgres = false;
    for (const instance of this.instances) instance.paused = false;
    while (this.tasks.size > 0 && network.flights.length > 0) {
      await this.settle(network.flights.find(({ arrived, mayArrive }) => arrived || mayArrive()));
    }
  }

  private async settle(flight: Flight | undefined): Promise<void> {
    if (flight) this.world.network.move(flight);
    await this.turns();
  }

  private async turns(): Promise<void> {
    await nextTurn();
    await nextTurn();
  }

  private step(): void {
    const { redis, clock, network } = this.world;
    const requests: Choice[] = [
      [110, () => this.moveSomething()],
      [20, () => this.onSome((at) => this.check(at))],
      [6, () => this.onSome((at) => this.access(at))],
      [2, () => this.onSome((at) => this.revoke(at))],
      [2, () => this.onSome((at) => this.login(at))],
      [4, () => this.onSome((at) => this.relay(at))],
      [4, () => this.onSome((at) => this.poll(at))],
      [network.down.cache ? 10 : 0, () => this.toggle('cache')],
      [network.down.postgres ? 10 : 0, () => this.toggle('postgres')],
      [
        this.instances.some(({ knowsRedis }) => !knowsRedis) ? 10 : 0,
        () => this.onSome((at) => this.greet(at)),
      ],
    ];
    const troubles: Choice[] = [
      [4, () => this.onSome((at) => this.changeRoles(at))],
      [5, () => this.onSome((at) => this.refresh(at))],
      [2, () => this.note('flush', () => redis.flush())],
      [3, () => this.note('evict', () => redis.delete(this.pick([...redis.keys(), ''])))],
      [
        6,
        () => (this.random() < 0.6 ? this.note('Redis is saved', () => redis.save()) : this.replaceRedis()),
      ],
      [5, () => this.note('time passes', () => (clock.time += this.someTime()))],
      [network.down.cache ? 0 : 2, () => this.toggle('cache')],
      [network.down.postgres ? 0 : 2, () => this.toggle('postgres')],
      [2, () => this.onSome((at) => this.note('a feed is cut', () => at.loseFeed()))],
      [3, () => this.pauseOrGoOn()],
      [1, () => this.crash()],
    ];
    const choices = [...requests, ...troubles.filter((_, index) => this.troubled.has(index))];
    let dice = this.random() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, act] of choices) {
      if ((dice -= weight) < 0) return act();
    }
  }

  // --- Requests

  private check(at: SimulatedInstance): void {
    const sessionId = this.someSession();
    const beginning = this.oracle.begin(sessionId);
    const { userId } = this.world.postgres.sessions.get(sessionId)!.snapshot;
    this.note(`check ${this.named(sessionId)} at ${this.nameOf(at)}`);
    const principal = { sessionId, userId, tokenId: '', keyVersion: 0 } as Principal;
    this.task(at, async () => {
      try {
        const snapshot = await at.check.require(principal, { consistency: 'cached' });
        this.note(`${this.named(sessionId)} is accepted at ${this.nameOf(at)}`);
        this.oracle.letIn(beginning, snapshot);
      } catch (error) {
        this.oracle.refused(beginning, error);
      }
    });
  }

  private access(at: SimulatedInstance): void {
    const sessionId = this.someSession();
    const { userId } = this.world.postgres.sessions.get(sessionId)!.snapshot;
    const denied = at.denials.endOf({ sessionId, userId }) !== null;
    this.note(`access ${this.named(sessionId)} at ${this.nameOf(at)}: ${denied ? 'refused' : 'accepted'}`);
    this.oracle.access(at, sessionId, denied);
  }

  /** Ends one session or all sessions of a user; the transaction may stay open for a while. */
  private revoke(at: SimulatedInstance): void {
    const userId = this.pick(USERS);
    const live = this.world.postgres.liveOf(userId).map(({ snapshot }) => snapshot.id);
    const kind = this.random() < 0.3 ? 'user' : 'session';
    const chosen = kind === 'user' || live.length === 0 ? live : [this.pick(live)];
    this.note(`revoke ${kind} ${chosen.map((id) => this.named(id)).join()} at ${this.nameOf(at)}`);
    this.task(at, async () => {
      const row = await this.transact(at, userId, (transaction) => {
        // Under the lock: the end of a user includes sessions that have begun since.
        const ids =
          kind === 'user' ? this.world.postgres.liveOf(userId).map(({ snapshot }) => snapshot.id) : chosen;
        transaction.writes.push(() => this.oracle.committed(ids, this.event));
        return { ids, notice: this.world.postgres.revoke(transaction, kind, ids) };
      });
      await this.tellCache(at, row.notice, row.ids);
    });
  }

  /** As `RevocationService.commit` and `RevocationDispatcher.writeTombstones` do. */
  private async tellCache(at: SimulatedInstance, notice: RevocationRow, ids: string[]): Promise<void> {
    at.denials.apply(notice);
    try {
      if (notice.kind === 'stale') await at.verdicts.invalidate(ids);
      else await at.verdicts.writeTombstones(ids, { reason: 'admin', at: notice.createdAt });
    } catch {
      this.note(`revocation ${notice.seq} is pending`);
      return this.oracle.ended(notice.kind === 'stale' ? [] : ids, false);
    }
    this.note(`revocation ${notice.seq} is applied`);
    notice.appliedAt = this.world.clock.time;
    if (notice.kind !== 'stale') return this.oracle.ended(ids, true);
    for (const id of ids) this.oracle.rolesAnswered(id, this.rolesAtCommit.get(notice)!.get(id)!);
  }
  private readonly rolesAtCommit = new Map<RevocationRow, Map<string, number>>();

  private changeRoles(at: SimulatedInstance): void {
    const userId = this.pick(USERS);
    this.note(`roles of ${userId.at(-1)} at ${this.nameOf(at)}`);
    this.task(at, async () => {
      const { notice, ids } = await this.transact(at, userId, (transaction) => {
        const rows = this.world.postgres.liveOf(userId);
        const ids = rows.map(({ snapshot }) => snapshot.id);
        const notice = this.world.postgres.insert(transaction, 'stale', ids, null);
        transaction.writes.push(() => {
          for (const row of rows) row.snapshot = { ...row.snapshot, roles: [...row.snapshot.roles, 'user'] };
          this.rolesAtCommit.set(
            notice,
            new Map(rows.map(({ snapshot }) => [snapshot.id, snapshot.roles.length])),
          );
        });
        return { notice, ids };
      });
      await this.tellCache(at, notice, ids);
    });
  }

  private login(at: SimulatedInstance): void {
    const { postgres } = this.world;
    if (postgres.sessions.size >= MOST_SESSIONS) return;
    const userId = this.pick(USERS);
    this.note(`login of ${userId.at(-1)} at ${this.nameOf(at)}`);
    this.task(at, async () => {
      const evicted = await this.transact(at, userId, (transaction) => {
        const live = postgres.liveOf(userId);
        const ids = live.slice(0, Math.max(0, live.length + 1 - LIMIT)).map(({ snapshot }) => snapshot.id);
        const notice = ids.length > 0 ? postgres.revoke(transaction, 'session', ids) : null;
        transaction.writes.push(() => {
          this.oracle.committed(ids, this.event);
          this.keepJar(postgres.login('', userId).snapshot.id, userId);
          this.oracle.loggedIn(postgres.liveOf(userId).length, LIMIT);
        });
        return { ids, notice };
      });
      if (evicted.notice) await this.tellCache(at, evicted.notice, evicted.ids);
    });
  }

  /** From any of the tabs that share a jar; a tab aborts an exchange that takes too long, as clients should. */
  private refresh(at: SimulatedInstance): void {
    const [sessionId, jar] = this.pick([...this.jars]);
    const { token } = jar;
    const wasOver = this.oracle.isOver(sessionId);
    const { clock, network, postgres } = this.world;
    const decide = () => {
      const row = postgres.sessions.get(sessionId)!;
      if (row.snapshot.ended) return { outcome: 'ended' as const };
      const moment = { now: clock.time, grace: SETTINGS.refreshGrace, proof: true };
      const { state, decision } = rotate(row.rotation, token, moment);
      row.rotation = state;
      return decision;
    };
    this.note(`refresh ${this.named(sessionId)} with ${token.generation}.${token.sibling}`);
    this.task(at, async () => {
      const mayArrive = () => !postgres.isLocked(jar.userId);
      const decision = await network.fly(at, 'postgres', decide, {
        mayArrive,
        patience: SETTINGS.refreshGrace / 3,
      });
      this.oracle.refreshed(sessionId, wasOver, decision.outcome);
      if (decision.outcome === 'issue') jar.token = decision.token;
    });
  }

  /** As `RevocationDispatcher.dispatch` does. */
  private relay(at: SimulatedInstance): void {
    const { network, postgres, clock } = this.world;
    this.task(at, async () => {
      const pending = await network.fly(at, 'postgres', () =>
        postgres.revocations.filter((row) => row.appliedAt === null && clock.time - row.createdAt > 2_000),
      );
      for (const notice of pending) {
        const all = [...postgres.sessions.values()].map(({ snapshot }) => snapshot);
        const ids = all
          .filter(({ id, userId, ended }) =>
            notice.kind === 'user' ? ended && notice.subjects.includes(userId) : notice.subjects.includes(id),
          )
          .map(({ id }) => id);
        await this.tellCache(at, notice, ids);
      }
    });
  }

  private poll(at: SimulatedInstance): void {
    const upTo = this.event;
    this.task(at, async () => {
      await at.feed.catchUp();
      this.oracle.heard(at, upTo);
    });
  }

  private greet(at: SimulatedInstance): void {
    this.task(at, () => at.greetRedis());
  }

  /** In one step, or with the lock and the numbers taken until a later step. */
  private async transact<T>(
    at: SimulatedInstance,
    userId: string,
    work: (transaction: Transaction) => T,
  ): Promise<T> {
    const { network, postgres } = this.world;
    const mayArrive = () => !postgres.isLocked(userId);
    const begin = () => {
      const transaction = postgres.begin(userId);
      this.transactions.set(transaction, at);
      return { transaction, result: work(transaction) };
    };
    if (this.random() < 0.6) {
      const both = () => {
        const { transaction, result } = begin();
        postgres.commit(transaction);
        return result;
      };
      return network.fly(at, 'postgres', both, { mayArrive });
    }
    const { transaction, result } = await network.fly(at, 'postgres', begin, { mayArrive });
    await network.fly(at, 'postgres', () => postgres.commit(transaction));
    return result;
  }

  // --- Faults

  private moveSomething(): void {
    const { network } = this.world;
    const moving = network.flights.filter(({ from }) => !(from as SimulatedInstance).paused);
    if (moving.length === 0) return;
    const flight = this.pick(moving);
    const dice = this.lossy && flight.to === 'cache' ? this.random() : 1;
    if (dice < 0.05 && !flight.arrived) {
      this.note('the cache is late');
      network.giveUp(flight);
    } else if (dice < 0.07) network.fail(flight);
    else network.move(flight);
  }

  private replaceRedis(): void {
    const restored = this.random() < 0.7;
    this.note(`Redis is replaced, ${restored ? 'with old data' : 'empty'}`);
    this.world.redis.replace(restored);
    for (const instance of this.instances) instance.loseRedis();
    this.world.network.dropAllTo('cache');
  }

  private toggle(store: 'cache' | 'postgres'): void {
    const { network, postgres } = this.world;
    network.down[store] = !network.down[store];
    this.note(`${store} is ${network.down[store] ? 'down' : 'up'}`);
    if (store === 'postgres' && network.down.postgres) postgres.rollBackAll();
  }

  private pauseOrGoOn(): void {
    const instance = this.pick(this.instances);
    instance.paused = !instance.paused;
    this.note(`${this.nameOf(instance)} ${instance.paused ? 'pauses' : 'goes on'}`);
  }

  private crash(): void {
    const index = Math.floor(this.random() * this.instances.length);
    const instance = this.instances[index]!;
    this.note(`${this.nameOf(instance)} dies, and another one starts`);
    instance.dead = true;
    (instance.feed as unknown as { stop(): void }).stop();
    this.world.network.dropAllFrom(instance);
    for (const [transaction, owner] of this.transactions) {
      if (owner === instance && transaction.open) this.world.postgres.rollBack(transaction);
    }
    for (const task of this.tasks) if (task.at === instance) this.tasks.delete(task);
    this.boot(index);
  }

  private boot(index: number): void {
    const instance = new SimulatedInstance(this.world);
    this.instances[index] = instance;
    this.task(instance, async () => {
      const upTo = this.event;
      for (let up = false; !up;) {
        up = await instance.feed.onApplicationBootstrap().then(
          () => true,
          () => instance.dead,
        );
      }
      (instance.feed as unknown as { stop(): void }).stop(); // the explorer starts the polls
      this.oracle.heard(instance, upTo);
      instance.ready = true;
      await instance.greetRedis();
    });
  }

  // --- Helpers

  private notifyAll(): void {
    for (const instance of this.instances) {
      if (instance.ready && this.random() < 0.7) this.poll(instance);
    }
  }

  private onSome(act: (at: SimulatedInstance) => void): void {
    const serving = this.instances.filter(({ ready, paused }) => ready && !paused);
    if (serving.length > 0) act(this.pick(serving));
  }

  private task(at: SimulatedInstance, work: () => Promise<unknown>): void {
    const task = { at };
    this.tasks.add(task);
    void work()
      .catch(() => undefined) // the caller sees the failure, which promises nothing
      .finally(() => this.tasks.delete(task));
  }

  /** Within a reader's lease, or shortly before an entry expires, or some seconds. */
  private someTime(): number {
    const dice = this.random();
    const [least, width] = dice < 0.4 ? [0, 2_000] : dice < 0.7 ? [28_000, 2_000] : [2_000, 6_000];
    return Math.floor(least + this.random() * width);
  }

  private keepJar(sessionId: string, userId: string): void {
    this.jars.set(sessionId, {
      userId,
      token: anchorOf(this.world.postgres.sessions.get(sessionId)!.rotation),
    });
  }

  /** Mostly the session of the last request, because faults concentrate on one session. */
  private someSession(): string {
    if (this.random() < 0.3) this.focus = this.pick([...this.world.postgres.sessions.keys()]);
    return this.focus;
  }

  private named(sessionId: string): string {
    return `s${[...this.world.postgres.sessions.keys()].indexOf(sessionId)}`;
  }

  private nameOf(instance: SimulatedInstance): string {
    return `instance ${this.instances.indexOf(instance)}`;
  }

  private note(what: string, act?: () => unknown): void {
    this.history.push(`${this.event} (${this.world.clock.time - 1_700_000_000_000} ms) ${what}`);
    act?.();
  }

  private pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)]!;
  }
}
