import { setImmediate as nextTurn } from 'node:timers/promises';
import { FaultActors } from './actors/fault-actors.js';
import { KeyActors } from './actors/key-actors.js';
import { SessionActors } from './actors/session-actors.js';
import { rolesAfter, UserActors } from './actors/user-actors.js';
import { SimulatedInstance, type World } from './instance.js';
import { Oracle } from './oracle.js';
import type { SimulatedPart } from './part.js';
import * as parts from './parts.js';
import { Schedule, type Choice } from './schedule.js';
import { Network, VirtualClock, type Flight } from './stores/network.js';
import { SimulatedPostgres } from './stores/simulated-postgres.js';
import { SimulatedRedis } from './stores/simulated-redis.js';
import { addStatements } from './stores/statements.js';

const USERS = ['00000000-0000-4000-8000-0000000000f0', '00000000-0000-4000-8000-0000000000f1'] as const;
/** A few statements each, and one that moves in each turn. */
const BOOT_TURNS = 100;
/** Moves of the network for each request. More kinds of credentials send more requests. */
const MOVES = { session: 110, key: 60 };
/** Events of a schedule, and more for each other kind of credential, so that sessions keep their share. */
const STEPS = { session: 250, key: 120 };

const PARTS = Object.values<SimulatedPart>(parts);
for (const { statements } of PARTS) addStatements(statements);

/**
 * Drives instances of the shipped code over simulated stores. A seed decides on the next event, losses, crashes and
 * the time. One seed is one schedule.
 */
export class Explorer {
  private readonly world: World;
  private readonly oracle: Oracle;
  private readonly schedule: Schedule;
  private readonly sessions: SessionActors;
  private readonly users: UserActors;
  private readonly faults: FaultActors;
  /** Not every schedule has them. */
  private readonly keys: KeyActors | null;
  private readonly others: ReturnType<SimulatedPart['actors']>[];
  private readonly moves: number;
  private readonly steps: number;
  /** Each schedule has only some kinds of faults, because all at once would hide each other. */
  private readonly troubled: boolean[];

  constructor(random: () => number) {
    const clock = new VirtualClock();
    const postgres = new SimulatedPostgres(clock);
    this.world = { clock, network: new Network(clock), redis: new SimulatedRedis(clock), postgres, random };
    this.oracle = new Oracle(this.world);
    this.schedule = new Schedule(this.world, this.oracle, random);
    for (const id of USERS)
      postgres.users.set(id, { id, roles: rolesAfter(0), bannedAt: null, notBefore: 0 });
    this.sessions = new SessionActors(this.schedule);
    this.users = new UserActors(this.schedule);
    this.keys = random() < 0.6 ? new KeyActors(this.schedule) : null;
    const chosen = PARTS.filter(({ share }) => random() < share);
    this.others = chosen.map((part) => part.actors(this.schedule));
    this.faults = new FaultActors(this.schedule, (index) => this.boot(index));
    this.moves = MOVES.session + (this.keys ? MOVES.key : 0) + sum(chosen.map(({ moves }) => moves));
    this.steps = STEPS.session + (this.keys ? STEPS.key : 0) + sum(chosen.map(({ steps }) => steps));
    this.troubled = this.troubles().map(() => random() < 0.4);
    postgres.afterCommit = () => this.oracle.lives.observe(this.schedule.event);
    postgres.notify = () => this.notifyAll();
    postgres.afterCommit();
  }

  get violations(): string[] {
    return this.oracle.violations;
  }

  get history(): string[] {
    return this.schedule.history;
  }

  get counts(): ReadonlyMap<string, number> {
    return this.schedule.counts;
  }

  async run(): Promise<void> {
    const { schedule, world } = this;
    for (let count = 0; count < 2; count++) this.boot(count);
    for (let turn = 0; schedule.instances.some(({ ready }) => !ready); turn++) {
      if (turn > BOOT_TURNS) throw new Error('an instance without faults does not boot');
      await this.settle(world.network.flights[0]);
    }
    for (let step = 0; step < this.steps && this.violations.length === 0; step++) {
      schedule.event += 1;
      this.step();
      await this.turns();
    }
    // All pending requests may end, so that every one of them is judged.
    const { network } = world;
    network.down.cache = network.down.postgres = false;
    for (const instance of schedule.instances) instance.paused = false;
    while (schedule.tasks.size > 0 && network.flights.length > 0) {
      const flight = network.flights.find(({ arrived, mayArrive }) => arrived || mayArrive());
      if (!flight) throw new Error('transactions wait for each other');
      await this.settle(flight);
    }
  }

  private async settle(flight: Flight | undefined): Promise<void> {
    if (flight) this.world.network.move(flight);
    await this.turns();
  }

  /** Lets the code of the instances run. Most events, such as the arrival of a request at a store, wake none. */
  private async turns(): Promise<void> {
    const { network } = this.world;
    if (!network.isAwake) return;
    network.isAwake = false;
    await nextTurn();
    await nextTurn();
  }

  private step(): void {
    const { schedule } = this;
    const isStrange = schedule.instances.some(({ redis }) => !redis.knowsRedis);
    schedule.choose([
      [this.moves, () => this.faults.moveSomething()],
      ...this.sessions.choices(),
      ...this.users.choices(),
      ...(this.keys?.choices() ?? []),
      ...this.others.flatMap((actors) => actors.choices()),
      [4, () => schedule.onSome((at) => this.dispatch(at))],
      [4, () => schedule.onSome((at) => this.poll(at))],
      [schedule.pending.size > 0 ? 3 : 0, () => schedule.onSome((at) => schedule.askAgain(at))],
      [isStrange ? 10 : 0, () => schedule.onSome((at) => schedule.task(at, () => at.redis.greet()))],
      ...this.faults.recoveries(),
      ...this.troubles().filter((_, index) => this.troubled[index]),
    ]);
  }

  private troubles(): Choice[] {
    return [
      [4, () => this.schedule.onSome((at) => this.users.changeRoles(at))],
      [5, () => this.schedule.onSome((at) => this.sessions.refresh(at))],
      ...this.faults.choices(),
    ];
  }

  private dispatch(at: SimulatedInstance): void {
    this.schedule.task(at, () => at.services.dispatcher.dispatch());
  }

  private poll(at: SimulatedInstance): void {
    const upTo = this.schedule.event;
    this.schedule.task(at, async () => {
      await at.feed.catchUp();
      this.oracle.heard(at, upTo);
    });
  }

  private notifyAll(): void {
    for (const instance of this.schedule.instances) {
      if (instance.ready && this.schedule.random() < 0.7) this.poll(instance);
    }
  }

  private boot(index: number): void {
    const instance = new SimulatedInstance(this.world);
    for (const part of PARTS) part.install(instance);
    this.schedule.instances[index] = instance;
    this.schedule.task(instance, async () => {
      const upTo = this.schedule.event;
      for (let up = false; !up;) {
        up = await instance.feed.onApplicationBootstrap().then(
          () => true,
          () => instance.dead,
        );
      }
      instance.stopPolls();
      this.oracle.heard(instance, upTo);
      instance.ready = true;
      await instance.redis.greet();
    });
  }
}

const sum = (numbers: number[]) => numbers.reduce((total, each) => total + each, 0);
