import type { SimulatedInstance } from '../instance.js';
import type { Choice, Schedule } from '../schedule.js';

/** Faults of the stores, of the network, of processes, and of time. */
export class FaultActors {
  private readonly isLossy: boolean;

  constructor(
    private readonly schedule: Schedule,
    private readonly boot: (index: number) => void,
  ) {
    this.isLossy = schedule.random() < 0.5;
  }

  /** The faults of which a schedule has some. */
  choices(): Choice[] {
    const { schedule } = this;
    const { redis, clock, network } = schedule.world;
    const evict = () => redis.delete(schedule.pick([...redis.keys(), '']));
    const replaceOrSave = () =>
      schedule.random() < 0.6 ? this.act('Redis is saved', () => redis.save()) : this.replaceRedis();
    return [
      [2, () => this.act('flush', () => redis.flush())],
      [3, () => this.act('evict', evict)],
      [6, replaceOrSave],
      [5, () => this.act('time passes', () => (clock.time += this.someTime()))],
      [network.down.cache ? 0 : 2, () => this.toggle('cache')],
      [network.down.postgres ? 0 : 2, () => this.toggle('postgres')],
      [2, () => schedule.onSome((at) => this.act('a feed is cut', () => at.loseFeed()))],
      [3, () => this.pauseOrGoOn()],
      [1, () => this.crash()],
    ];
  }

  /** Stores that are down come back. */
  recoveries(): Choice[] {
    const { down } = this.schedule.world.network;
    return [
      [down.cache ? 10 : 0, () => this.toggle('cache')],
      [down.postgres ? 10 : 0, () => this.toggle('postgres')],
    ];
  }

  /** One step of one request, or its loss. */
  moveSomething(): void {
    const { schedule } = this;
    const { network } = schedule.world;
    const moving = network.flights.filter(({ from }) => !(from as SimulatedInstance).paused);
    if (moving.length === 0) return;
    const flight = schedule.pick(moving);
    const dice = this.isLossy && flight.to === 'cache' ? schedule.random() : 1;
    if (dice < 0.05 && !flight.arrived) {
      schedule.note('the cache is late');
      network.giveUp(flight);
    } else if (dice < 0.07) network.fail(flight);
    else network.move(flight);
  }

  private replaceRedis(): void {
    const { schedule } = this;
    const restored = schedule.random() < 0.7;
    schedule.note(`Redis is replaced, ${restored ? 'with old data' : 'empty'}`);
    schedule.world.redis.replace(restored);
    for (const instance of schedule.instances) instance.redis.lose();
    schedule.world.network.dropAllTo('cache');
  }

  private toggle(store: 'cache' | 'postgres'): void {
    const { network, postgres } = this.schedule.world;
    network.down[store] = !network.down[store];
    this.schedule.note(`${store} is ${network.down[store] ? 'down' : 'up'}`);
    if (store === 'postgres' && network.down.postgres) postgres.rollBackAll(null);
  }

  private pauseOrGoOn(): void {
    const { schedule } = this;
    const instance = schedule.pick(schedule.instances);
    instance.paused = !instance.paused;
    const what = instance.paused ? 'pauses' : 'goes on';
    schedule.note(`${schedule.nameOf(instance)} ${what}`, `an instance ${what}`);
  }

  private crash(): void {
    const { schedule } = this;
    const index = Math.floor(schedule.random() * schedule.instances.length);
    const instance = schedule.instances[index]!;
    schedule.note(`${schedule.nameOf(instance)} dies, and another one starts`, 'an instance dies');
    instance.dead = true;
    instance.stopPolls();
    schedule.world.network.dropAllFrom(instance);
    schedule.world.postgres.rollBackAll(instance);
    for (const task of schedule.tasks) if (task.at === instance) schedule.tasks.delete(task);
    this.boot(index);
  }

  /** Within a reader's lease, or shortly before an entry expires, or some seconds. */
  private someTime(): number {
    const dice = this.schedule.random();
    const [least, width] = dice < 0.4 ? [0, 2_000] : dice < 0.7 ? [28_000, 2_000] : [2_000, 6_000];
    return Math.floor(least + this.schedule.random() * width);
  }

  private act(what: string, act: () => unknown): void {
    this.schedule.note(what);
    act();
  }
}
