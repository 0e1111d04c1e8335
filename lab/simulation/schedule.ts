import type { Revocation } from '../../src/sessions/revocation/revocation.entity.js';
import type { Receipt } from '../../src/sessions/revocation/receipt.js';
import type { SimulatedInstance, World } from './instance.js';
import type { Oracle } from './oracle.js';

export type Choice = [weight: number, act: () => void];

/** One run of the explorer: its random choices, its history, and the requests that are under way. */
export class Schedule {
  readonly history: string[] = [];
  /** How often each kind of event has happened. */
  readonly counts = new Map<string, number>();
  readonly instances: SimulatedInstance[] = [];
  readonly tasks = new Set<{ at: SimulatedInstance }>();
  /** The ids of each end whose last receipt was `pending`. */
  readonly pending = new Map<string, string[]>();
  event = 0;

  constructor(
    readonly world: World,
    readonly oracle: Oracle,
    readonly random: () => number,
  ) {}

  choose(choices: Choice[]): void {
    let dice = this.random() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, act] of choices) {
      if ((dice -= weight) < 0) return act();
    }
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)]!;
  }

  onSome(act: (at: SimulatedInstance) => void): void {
    const serving = this.instances.filter(({ ready, paused }) => ready && !paused);
    if (serving.length > 0) act(this.pick(serving));
  }

  task(at: SimulatedInstance, work: () => Promise<unknown>): void {
    const task = { at };
    this.tasks.add(task);
    this.world.network.isAwake = true;
    void work()
      .catch((error: unknown) => this.requireFailure(error)) // the caller sees the failure, which promises nothing
      .finally(() => this.tasks.delete(task));
  }

  /** @param asked the ids of all records that the end concerns */
  end(at: SimulatedInstance, asked: string[], work: () => Promise<Receipt | null>): void {
    this.task(at, async () => {
      const receipt = await work();
      if (receipt) this.answered(asked, receipt);
    });
  }

  /** The client of an end whose receipt was `pending` asks for the receipt again. */
  askAgain(at: SimulatedInstance): void {
    const [seq, asked] = this.pick([...this.pending]);
    this.note(`ask for the receipt ${seq} at ${this.nameOf(at)}`, 'repeated questions for a receipt');
    this.task(at, async () => {
      const receipt = await at.services.revocations.receiptFor(seq);
      if (receipt) this.answered(asked, receipt);
    });
  }

  private answered(asked: string[], { seq, status }: Receipt): void {
    const isApplied = status === 'applied';
    this.note(`the end ${seq} is ${status}`, `${status} answers`);
    this.oracle.ended(this.endedBy(String(seq), asked), isApplied);
    if (isApplied) this.pending.delete(String(seq));
    else this.pending.set(String(seq), asked);
  }

  /** Writes to the history. @param kind under which it is counted */
  note(what: string, kind = what): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    this.history.push(`${this.event} (${this.world.clock.time - 1_700_000_000_000} ms) ${what}`);
  }

  nameOf(instance: SimulatedInstance): string {
    return `instance ${this.instances.indexOf(instance)}`;
  }

  named(id: string): string {
    const { users, sessions, keys, grants } = this.world.postgres;
    for (const [letter, table] of Object.entries({ u: users, s: sessions, k: keys, g: grants })) {
      if (table.has(id)) return letter + [...(table as Map<string, unknown>).keys()].indexOf(id);
    }
    return id;
  }

  /** A receipt speaks for the records of its revocation, and for those that the request named. */
  private endedBy(seq: Revocation['seq'], asked: string[]): string[] {
    const { sessions, keys, grants } = this.world.postgres;
    return [...sessions, ...keys, ...grants].flatMap(([id, { revocationSeq }]) =>
      revocationSeq === seq || asked.includes(id) ? [id] : [],
    );
  }

  /** A fault of the simulation itself must not look like a failure of a store. */
  private requireFailure(error: unknown): void {
    if (error instanceof TypeError || /the simulation|the schedule/.test(String(error)))
      this.oracle.violations.push(`the simulation failed: ${(error as Error).stack}`);
  }
}
