import { Inject, Injectable } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { Clock } from '../runtime/clock.js';
import { Settings } from '../settings/settings.js';
import { Connections } from './connections.js';

/** In ms: a request that has begun takes at most the longest statement of PostgreSQL. */
export const MAX_DRAIN_MS = 10_000;
/** A request that is already on its way over an idle connection arrives within this time in ms and is answered. */
const IDLE_GRACE_MS = 250;
const POLL_MS = 20;

/**
 * The shutdown of an instance, in two phases. First it reports that it is not ready, but serves as before until load
 * balancers have noticed. Then it refuses new requests and finishes current ones. In both phases each answer closes
 * its connection.
 */
@Injectable()
export class Shutdown {
  private readonly listeners: (() => void)[] = [];
  private phase: 'none' | 'announced' | 'draining' = 'none';

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
    const bound = Math.min(this.settings.requestTimeout, MAX_DRAIN_MS);
    while (this.isWaitedFor(passed()) && passed() < bound) await this.wait(POLL_MS);
  }

  /** Calls the listener when this instance begins to refuse requests. */
  onDrain(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** A separate method, so that a test can decide when the time is over. */
  async wait(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms);
  }

  /** Refuses new requests from now on. */
  refuseRequests(): void {
    this.begin('draining');
  }

  private begin(phase: 'announced' | 'draining'): void {
    this.phase = phase;
    this.connections.closeAfterResponses();
    if (phase === 'draining') for (const listener of this.listeners) listener();
  }

  private isWaitedFor(passed: number): boolean {
    return this.connections.areBusy() || (passed < IDLE_GRACE_MS && this.connections.count > 0);
  }
}
