import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { FeedFollowers, type SentRevocation } from '../../auth/revocation-feed/feed-followers.js';
import { repeat } from '../../platform/jobs/repeat.js';
import { AlignedClock } from '../../platform/runtime/clock.js';
import { DenialList } from '../../sessions/revocation/denial-list.js';
import { BoundedBatch } from './bounded-batch.js';
import { InstanceReports } from './instance-reports.js';
import { LiveChannel } from './live-channel.js';
import type { Arrival } from './live.schemas.js';

const REPORT_INTERVAL_MS = 1_000;
/** Two messages of a watching instance may be lost. */
const WATCHED_FOR_MS = 10_000;
const ARRIVALS_INTERVAL_MS = 100;
/** One revocation with all listed followers, eight times. */
const MAX_WAITING_ARRIVALS = 408;
/** An arrival has at most 111 bytes, and a message 7,900. */
const MAX_ARRIVALS_PER_MESSAGE = 65;
/** Clocks and stored instants are rounded to a millisecond. */
const ROUNDING_MS = 1;

/**
 * Reports this instance to the instances on which an admin watches the live view. While no admin watches, it sends and
 * counts nothing.
 */
@Injectable()
export class LiveReporter implements BeforeApplicationShutdown {
  private watchedUntil = -Infinity;
  private isShuttingDown = false;
  private stops: (() => void)[] = [];
  private readonly arrivals = new BoundedBatch<Arrival>(MAX_WAITING_ARRIVALS);
  /** The followers that the last report names: only they have a lane. */
  private lanes = new Set<string>();

  constructor(
    private readonly channel: LiveChannel,
    private readonly reports: InstanceReports,
    private readonly followers: FeedFollowers,
    private readonly clock: AlignedClock,
    denials: DenialList,
  ) {
    channel.subscribe(({ type }) => {
      if (type === 'watch') this.start();
    });
    denials.onNotice((notice, isNews) => {
      if (isNews && this.isReporting) this.arrived(this.reports.id, notice);
    });
  }

  get isReporting(): boolean {
    return this.stops.length > 0;
  }

  beforeApplicationShutdown(): void {
    this.isShuttingDown = true;
    this.end();
  }

  private start(): void {
    this.watchedUntil = this.clock.monotonic() + WATCHED_FOR_MS;
    if (this.isReporting || this.isShuttingDown) return;
    this.followers.onSent(({ id }, revocation) => {
      if (this.lanes.has(id)) this.arrived(id, revocation);
    });
    this.stops = [
      repeat(REPORT_INTERVAL_MS, () => this.report(), ignoreFailure),
      repeat(ARRIVALS_INTERVAL_MS, () => this.sendArrivals(), ignoreFailure),
    ];
    void this.report();
  }

  private end(): void {
    for (const stop of this.stops.splice(0)) stop();
    this.followers.onSent(null);
    this.arrivals.take();
    this.lanes.clear();
  }

  private async report(): Promise<void> {
    if (this.clock.monotonic() > this.watchedUntil) return this.end();
    const report = this.reports.make();
    this.lanes = new Set(report.followers.map(({ id }) => id));
    await this.channel.send({ type: 'report', report });
  }

  /**
   * The delay is the database's time now, as this instance knows it, minus the time that the transaction of the revocation
   * read just before its commit. So it includes the commit. It is never negative, and wrong by at most `errorMs`.
   */
  private arrived(lane: string, { seq, createdAt }: SentRevocation): void {
    const delayMs = Math.max(0, Math.round(this.clock.databaseTime() - createdAt));
    const errorMs = Math.ceil(this.clock.tolerance) + ROUNDING_MS;
    this.arrivals.add([{ seq, lane, delayMs, errorMs }]);
  }

  private async sendArrivals(): Promise<void> {
    while (!this.arrivals.isEmpty) {
      const { items: arrivals, dropped } = this.arrivals.take(MAX_ARRIVALS_PER_MESSAGE);
      await this.channel.send({ type: 'arrivals', arrivals, dropped });
    }
  }
}

/** `LiveChannel.send` never rejects. */
function ignoreFailure(): void {}
