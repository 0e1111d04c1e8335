import { setImmediate as turn } from 'node:timers/promises';
import type { Time } from '../src/index.js';

const START = Date.UTC(2026, 0, 1);
/** Enough turns of the event loop for every promise of one step. */
const TURNS = 20;

/** A time that passes only when a test advances it. The wall clock can be moved apart from the monotonic one. */
export class ScriptedTime implements Time {
  private elapsed = 0;
  private offset = 0;
  private readonly timers = new Set<{ at: number; call: () => void }>();

  now(): number {
    return this.applicationNow() + this.offset;
  }

  /** The clock of the application, which a test does not move. */
  applicationNow(): number {
    return START + this.elapsed;
  }

  monotonic(): number {
    return this.elapsed;
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.elapsed + ms, call };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }

  /** Moves the wall clock of the verifier alone, as an operator or a time server does. */
  moveClock(ms: number): void {
    this.offset += ms;
  }

  /** Lets time pass, with every timer in its turn. */
  async advance(ms: number): Promise<void> {
    const until = this.elapsed + ms;
    for (;;) {
      await settle();
      const [next] = [...this.timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.timers.delete(next);
      this.elapsed = Math.max(this.elapsed, next.at);
      next.call();
    }
    this.elapsed = until;
    await settle();
  }

  /** Time passes while the process does not run: a pause of the machine, SIGSTOP. Timers are late. */
  freeze(ms: number): void {
    this.elapsed += ms;
  }
}

/** Resolves when everything that can happen now has happened. */
export async function settle(): Promise<void> {
  for (let count = 0; count < TURNS; count += 1) await turn();
}
