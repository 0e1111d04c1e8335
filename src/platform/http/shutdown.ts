import { Inject, Injectable } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { Clock } from '../runtime/clock.js';
import { Settings } from '../settings/settings.js';
import { Connections } from './connections.js';

/** In ms: a request that has begun takes at most the longest statement of PostgreSQL. */
export const MAX_DRAIN_MS = 10_000;
/** In ms: a proxy that still sends requests has had enough refusals to notice. */
export const MAX_HANDOVER_MS = 2_000;
/** When no request has arrived for this time in ms, the proxies send none any more. */
export const QUIET_MS = 250;
const POLL_MS = 20;
/**
 * A process that got no processor for a while runs its timers before it reads what has arrived meanwhile. So time alone
 * does not show that no request waits: the event loop must also have turned this often.
 */
const QUIET_POLLS = 5;

/**
 * The shutdown of an instance, in three phases. In each of them, an answer closes its connection.
 * 1. Announced: the instance reports that it is not ready, but serves as before until load balancers have noticed.
 * 2. Handover: the instance refuses reads, which a proxy may send to another instance, and still serves writes. So a
 *    proxy without health checks of its own notices before a write fails.
 * 3. Closed to new connections: the instance finishes current requests. A proxy whose connection is refused may send
 *    even a write to another instance, because no byte of it was sent.
 */
@Injectable()
export class Shutdown {
  private readonly listeners: (() => void)[] = [];
  private phase: 'none' | 'announced' | 'draining' = 'none';
  /** The monotonic time of the latest request since the shutdown began. */
  private lastRequest: number | undefined;
  private pollsSinceRequest = 0;

  constructor(
    private readonly connections: Connections,
    private readonly clock: Clock,
    @Inject(Settings) private readonly settings: Pick<Settings, 'shutdownDelay' | 'requestTimeout'>,
  ) {}

  get hasBegun(): boolean {
    return this.phase !== 'none';
  }

  get isDraining(): boolean {
    return this.phase === 'draining';
  }

  /** Resolves when no request is under way, or when the time for current requests is over. */
  async run(): Promise<void> {
    this.begin('announced');
    await this.wait(this.settings.shutdownDelay);
    this.begin('draining');
    const start = this.clock.monotonic();
    const passed = () => this.clock.monotonic() - start;
    while (!this.isQuiet(start) && passed() < MAX_HANDOVER_MS) await this.poll();
    this.connections.stopListening();
    this.pollsSinceRequest = 0;
    const bound = Math.min(this.settings.requestTimeout, MAX_DRAIN_MS);
    while (this.isWaitedFor() && passed() < bound) await this.poll();
  }

  /** Counts a request that arrives during shutdown. */
  noteRequest(): void {
    this.lastRequest = this.clock.monotonic();
    this.pollsSinceRequest = 0;
  }

  /** Calls the listener when this instance begins to refuse requests. */
  onDrain(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** A separate method, so that a test can decide when the time is over. */
  async wait(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms);
  }

  /** Refuses reads from now on. */
  refuseRequests(): void {
    this.begin('draining');
  }

  private begin(phase: 'announced' | 'draining'): void {
    this.phase = phase;
    this.connections.closeAfterResponses();
    if (phase === 'draining') for (const listener of this.listeners) listener();
  }

  /** An instance without connections and without requests has nothing to hand over. */
  private isQuiet(start: number): boolean {
    if (this.connections.count === 0 && this.lastRequest === undefined) return true;
    const silence = this.clock.monotonic() - Math.max(start, this.lastRequest ?? start);
    return silence >= QUIET_MS && this.pollsSinceRequest >= QUIET_POLLS;
  }

  /** A connection whose request has not been read yet is waited for as well. */
  private isWaitedFor(): boolean {
    return this.connections.areBusy() || (this.connections.count > 0 && this.pollsSinceRequest < QUIET_POLLS);
  }

  private async poll(): Promise<void> {
    await this.wait(POLL_MS);
    this.pollsSinceRequest += 1;
  }
}
