import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { hostname } from 'node:os';
import '../../auth/open-connections/open-connections.service.js';
import { FeedFollowers } from '../../auth/revocation-feed/feed-followers.js';
import { RequestOutcomes } from '../../platform/metrics/request-outcomes.js';
import { AlignedClock } from '../../platform/runtime/clock.js';
import { random } from '../../platform/runtime/random.js';
import { SessionCheck } from '../../sessions/check/session-check.js';
import { RevocationSubscriber } from '../../sessions/revocation/revocation-subscriber.js';
import { MAX_FOLLOWERS, type InstanceReport } from './live.schemas.js';

/** A notification of PostgreSQL has at most 7,999 bytes. The rest is for its topic and type. */
const MAX_REPORT_BYTES = 7_800;
const MAX_NAME = 60;

/** Describes this instance. It only reads numbers that the instance counts anyway. */
@Injectable()
export class InstanceReports {
  /** Another one after each restart. */
  readonly id = random.uuid();
  private readonly startedAt: number;

  constructor(
    private readonly feed: RevocationSubscriber,
    private readonly followers: FeedFollowers,
    private readonly outcomes: RequestOutcomes,
    private readonly checks: SessionCheck,
    private readonly host: HttpAdapterHost,
    clock: AlignedClock,
  ) {
    this.startedAt = clock.now();
  }

  make(): InstanceReport {
    const { openConnections } = this.host.httpAdapter.getInstance<FastifyInstance>();
    return fitted({
      id: this.id,
      name: hostname().slice(0, MAX_NAME),
      startedAt: this.startedAt,
      isBlind: this.feed.isBlind(),
      feedAgeMs: Math.round(this.feed.age()),
      connections: openConnections.size,
      followerCount: this.followers.size,
      followers: this.followers.list(MAX_FOLLOWERS),
      counters: {
        logins: this.outcomes.logins,
        problems: Object.fromEntries(this.outcomes.problems),
        checks: { ...this.checks.answers },
      },
    });
  }
}

/** The report with as many followers as fit into one notification; then with the problems that are most frequent. */
export function fitted(report: InstanceReport): InstanceReport {
  const { counters } = report;
  let left =
    MAX_REPORT_BYTES - bytesOf({ ...report, followers: [], counters: { ...counters, problems: {} } });
  const fits = (item: unknown) => (left -= bytesOf(item) + 1) >= 0;
  // Problems first: the codes are short, and the catalogue of them is closed.
  const problems = Object.entries(counters.problems).sort(([, a], [, b]) => b - a);
  return {
    ...report,
    counters: { ...counters, problems: Object.fromEntries(takeWhile(problems, fits)) },
    followers: takeWhile(report.followers, fits),
  };
}

function takeWhile<Item>(items: readonly Item[], accepts: (item: Item) => boolean): Item[] {
  const end = items.findIndex((item) => !accepts(item));
  return end < 0 ? [...items] : items.slice(0, end);
}

const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
