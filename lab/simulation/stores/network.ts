import { CacheUnavailable } from '../../../src/platform/cache/cache-port.js';
import { Clock } from '../../../src/platform/runtime/clock.js';
import { Problem } from '../../../src/platform/api/problem.js';

/** Small, seeded, good enough to choose schedules; not for secrets. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One time for all, which passes when the explorer advances it. */
export class VirtualClock extends Clock {
  time = 1_700_000_000_000;
  override now = () => this.time;
  override monotonic = () => this.time;
}

export type Store = 'cache' | 'postgres';

/** Dead instances send nothing, whatever their code still does. */
export interface Sender {
  dead: boolean;
}

/** A pending request: first it goes to the store, where it takes effect, then the answer goes back to the sender. */
export interface Flight {
  from: Sender;
  to: Store;
  effect: () => unknown;
  /** Whether its effect has to wait for a lock. */
  mayArrive: () => boolean;
  result?: unknown;
  arrived: boolean;
  sentAt: number;
  /** The timeout of the sender and of the network. */
  patience: number;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** The network between instances and stores. Each request is two steps, and the explorer chooses the next one. */
export class Network {
  readonly flights: Flight[] = [];
  readonly down = { cache: false, postgres: false };
  /** Whether code of an instance can go on since the explorer looked: a request has got its answer, or has begun. */
  isAwake = false;

  constructor(private readonly clock: VirtualClock) {}

  fly<T>(
    from: Sender,
    to: Store,
    effect: () => T,
    { mayArrive = () => true, patience = Infinity }: Partial<Pick<Flight, 'mayArrive' | 'patience'>> = {},
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (from.dead) return;
      const sentAt = this.clock.time;
      const onTheWay = { from, to, effect, mayArrive, patience, arrived: false, sentAt };
      this.flights.push({ ...onTheWay, resolve: resolve as Flight['resolve'], reject });
    });
  }

  /** One step of one request. */
  move(flight: Flight): void {
    const tooLate = this.clock.time - flight.sentAt > flight.patience;
    if (tooLate || (!flight.arrived && this.down[flight.to])) return this.fail(flight);
    if (flight.arrived) return this.land(flight, () => flight.resolve(flight.result));
    if (!flight.mayArrive()) return;
    try {
      flight.result = flight.effect();
      flight.arrived = true;
    } catch (error) {
      this.land(flight, () => flight.reject(error));
    }
  }

  /** The sender gets an error; the store may or may not have received the request. */
  fail(flight: Flight): void {
    this.land(flight, () =>
      flight.reject(flight.to === 'cache' ? new CacheUnavailable() : new Problem('auth.unavailable')),
    );
  }

  /** The sender waits no more, but the request is still under way and may take effect. */
  giveUp(flight: Flight): void {
    this.isAwake = true;
    flight.reject(new CacheUnavailable());
    flight.resolve = flight.reject = () => undefined;
  }

  /** As when a server dies: requests that had not arrived never do. */
  dropAllTo(store: Store): void {
    for (const flight of this.flights.filter(({ to }) => to === store)) this.fail(flight);
  }

  /** As when a process dies: it gets no answers, and requests that had not arrived never do. */
  dropAllFrom(sender: Sender): void {
    for (const flight of this.flights.filter(({ from }) => from === sender)) {
      this.land(flight, () => undefined);
    }
  }

  private land(flight: Flight, end: () => void): void {
    this.isAwake = true;
    this.flights.splice(this.flights.indexOf(flight), 1);
    end();
  }
}
