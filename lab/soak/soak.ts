import { setTimeout as sleep } from 'node:timers/promises';
import { Fleet } from './fleet.js';
import { HttpsClient } from './https-client.js';
import { Load, wrongPayments } from './load.js';
import { startProxy } from './proxies.js';
import type { Certificate } from '../../test/support/services.mjs';

export interface Sample {
  minute: number;
  /** Resident memory of each instance, in MiB. */
  memory: number[];
  event: string;
}

/** Undisturbed load between two events, in ms. */
const CALM_MS = 10_000;
/** After a store is back, requests may still fail for this long: connections are made anew. */
const RECOVERY_MS = 3_000;

/**
 * Two instances behind nginx, with mixed load and slow clients, for some minutes. In turn: a rolling restart, Redis away,
 * PostgreSQL restarted. In the second half of the time no instance is restarted, so that their memory can be compared.
 */
export class Soak {
  readonly samples: Sample[] = [];
  private readonly start = performance.now();

  private constructor(
    readonly fleet: Fleet,
    readonly load: Load,
    private readonly end: () => Promise<void>,
  ) {}

  static async begin(authority: string, certificate: Certificate, users: number): Promise<Soak> {
    const fleet = await Fleet.start({ LOG_LEVEL: 'warn' });
    const [a, b] = fleet.instances;
    const proxy = await startProxy('nginx', certificate, [a!.port, b!.port]);
    await sleep(1_000);
    const load = await Load.start(fleet, new HttpsClient(proxy.https, authority), { users });
    return new Soak(fleet, load, () => proxy.stop());
  }

  /** Runs whole rounds until the time is over, at least one, and stops the load. */
  async run(minutes: number): Promise<void> {
    this.sample('start');
    let isFirst = true;
    while (isFirst || this.minutes < minutes) {
      await sleep(CALM_MS);
      if (isFirst || this.minutes < minutes / 2) {
        await this.fleet.rollingRestart();
        this.sample('rolling restart');
        await sleep(CALM_MS);
      }
      isFirst = false;
      await this.withoutRedis();
      this.sample('Redis stopped and started');
      await sleep(CALM_MS);
      await this.restartPostgres();
      this.sample('PostgreSQL restarted');
    }
    await sleep(CALM_MS);
    this.sample('end');
    await this.load.stop();
  }

  wrongPayments = () => wrongPayments(this.fleet, this.load);

  async stop(): Promise<void> {
    await this.end();
    await this.fleet.stop();
  }

  get minutes(): number {
    return (performance.now() - this.start) / 60_000;
  }

  private withoutRedis(): Promise<void> {
    const { redis } = this.fleet;
    return this.load.outages.during('Redis stopped for 5 s', async () => {
      await redis.stop();
      await sleep(5_000);
      await redis.restart();
      await sleep(RECOVERY_MS);
    });
  }

  private restartPostgres(): Promise<void> {
    const { postgres, instances } = this.fleet;
    return this.load.outages.during('PostgreSQL restarted', async () => {
      await postgres.restart();
      for (const instance of instances) await instance.untilReady();
      await sleep(RECOVERY_MS);
    });
  }

  private sample(event: string): void {
    const memory = this.fleet.instances.map((instance) => Math.round(instance.memory()));
    this.samples.push({ minute: Math.round(this.minutes * 10) / 10, memory, event });
  }
}
