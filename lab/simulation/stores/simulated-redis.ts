import type { CacheValue } from '../../../src/platform/cache/cache-port.js';
import type { VirtualClock } from './network.js';

/** A Redis, which takes effect at the moment at which a request arrives. */
export class SimulatedRedis {
  /** Changes with each restart, promotion or restoration. */
  identity = 1;
  private entries = new Map<string, { value: string; seal: number | null; expiresAt: number }>();
  private dump = new Map(this.entries);

  constructor(private readonly clock: VirtualClock) {}

  /** The entry, if it is valid for a client that expects this server: entries of another epoch are not. */
  get(key: string, identity: number): string | null {
    const entry = this.entries.get(key);
    if (!entry || entry.expiresAt <= this.clock.time) return null;
    return entry.seal === null || entry.seal === identity ? entry.value : null;
  }
  set(key: string, value: CacheValue, ttl: number, seal: number | null = null): void {
    this.entries.set(key, { value: JSON.stringify(value), seal, expiresAt: this.clock.time + ttl });
  }
  delete(key: string): void {
    this.entries.delete(key);
  }
  keys(): string[] {
    return [...this.entries.keys()];
  }
  flush(): void {
    this.entries.clear();
  }
  save(): void {
    this.dump = new Map(this.entries);
  }
  /** Replaces the server by another one: empty, or with an earlier copy of its data. */
  replace(restored: boolean): void {
    this.identity += 1;
    this.entries = restored ? new Map(this.dump) : new Map();
  }
}
