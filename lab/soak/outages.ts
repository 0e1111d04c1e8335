export interface Failure {
  name: string;
  /** Seconds since the start of the load. */
  at: number;
  detail: string;
}

interface Window {
  name: string;
  from: number;
  to: number;
}

/** The times in which a store is away on purpose, and the failures inside and outside of them. */
export class Outages {
  readonly windows: Window[] = [];
  private readonly start = performance.now();
  private readonly all: (Failure & { began: number; ended: number })[] = [];

  /** Takes a store away, and brings it back. Failures of requests that meanwhile begin or end are expected. */
  async during(name: string, work: () => Promise<void>): Promise<void> {
    const window: Window = { name, from: performance.now(), to: Infinity };
    this.windows.push(window);
    try {
      await work();
    } finally {
      window.to = performance.now();
    }
  }

  fail(name: string, began: number, detail: string): void {
    const ended = performance.now();
    this.all.push({ name, began, ended, at: (ended - this.start) / 1_000, detail });
  }

  get unexpected(): Failure[] {
    return this.all
      .filter(({ began, ended }) => !this.windows.some(({ from, to }) => began <= to && ended >= from))
      .map(({ name, at, detail }) => ({ name, at: Math.round(at * 10) / 10, detail }));
  }

  /** One row for each window, with its seconds and its failures. */
  get table(): { name: string; seconds: number; failures: number }[] {
    return this.windows.map(({ name, from, to }) => ({
      name,
      seconds: (to - from) / 1_000,
      failures: this.all.filter(({ began, ended }) => began <= to && ended >= from).length,
    }));
  }
}
