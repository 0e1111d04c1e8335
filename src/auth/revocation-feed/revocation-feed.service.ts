import { Injectable, type MessageEvent } from '@nestjs/common';
import { Observable } from 'rxjs';
import { Problem } from '../../platform/api/problem.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { Clock } from '../../platform/runtime/clock.js';
import { random } from '../../platform/runtime/random.js';
import { sha256 } from '../../platform/runtime/sha256.js';
import { DenialList } from '../../sessions/revocation/denial-list.js';
import { RevocationSubscriber } from '../../sessions/revocation/revocation-subscriber.js';
import { FeedLog, lineOf, LIST_AGAIN } from './feed-log.js';
import { FeedStatements, type FeedFacts } from './feed-statements.js';

/** A little less than the interval of polls, so that each regular poll is followed by a heartbeat. */
const HEARTBEAT_INTERVAL_MS = 900;
/** A snapshot is used again for this many times the duration of its making, so it takes at most a tenth of a core. */
const REUSE_FACTOR = 10;
/** A verifier accepts a snapshot whose time is 5 s old. */
const MAX_REUSE_MS = 2_000;

/** The entries at a cursor, and the last body that was made of them. */
interface MadeSnapshot {
  cursor: string;
  entries: string;
  digest: string;
  reusableUntil: number;
  time: number;
  body: string;
}

/** The revocation feed for verifiers: services outside of this application. All answers come from memory, without I/O. */
@Injectable()
export class RevocationFeed {
  private readonly log = new FeedLog(random.secret());
  private snapshotMade: MadeSnapshot | null = null;
  private hasBooted = false;
  private beatAt = -Infinity;

  constructor(
    private readonly denials: DenialList,
    private readonly subscriber: RevocationSubscriber,
    private readonly statements: FeedStatements,
    private readonly clock: Clock,
    metrics: Metrics,
  ) {
    subscriber.onPoll(() => this.afterPoll());
    const { log } = this;
    metrics.gauge({
      name: 'revocation_feed_followers',
      help: 'Verifiers and relays that follow the revocation feed of this instance.',
      collect() {
        this.set(log.followerCount);
      },
    });
  }

  /**
   * The live revocations, as JSON with a signed statement. Its last member is `entries`: the digest in the statement covers
   * the bytes of that array.
   *
   * @throws Problem `auth.unavailable` while this instance cannot prove that its list is complete
   */
  snapshot(): string {
    this.requireSight();
    const facts = this.facts();
    let made = this.snapshotMade;
    if (made && this.clock.monotonic() < made.reusableUntil) return made.body;
    if (made?.cursor !== this.log.cursor) this.snapshotMade = made = this.listEntries();
    if (made.time !== facts.time) {
      const statement = this.statements.snapshot(facts, made.digest);
      made.body = `{"cursor":"${made.cursor}","statement":"${statement}","entries":${made.entries}}`;
      made.time = facts.time;
    }
    return made.body;
  }

  /**
   * The events after a cursor. The stream ends after `list_again` if the follower has to read the snapshot again.
   *
   * @param cursor absent: only new events
   */
  stream(cursor?: string): Observable<MessageEvent> {
    return new Observable((subscriber) => {
      const stop = this.log.follow(cursor, (event) => subscriber.next(event));
      if (stop) return stop;
      subscriber.next(LIST_AGAIN);
      subscriber.complete();
      return undefined;
    });
  }

  /** The list of a new instance is not published event by event: its followers begin with a snapshot. */
  private afterPoll(): void {
    if (!this.hasBooted)
      this.denials.onNotice((notice, isNews) => {
        if (isNews) this.log.append(notice);
      });
    this.hasBooted = true;
    const now = this.clock.monotonic();
    if (this.log.followerCount === 0 || now - this.beatAt < HEARTBEAT_INTERVAL_MS) return;
    this.beatAt = now;
    this.log.publishHeartbeat(this.statements.heartbeat(this.facts()));
  }

  private facts(): FeedFacts {
    return { ...this.log.position, ...this.subscriber.completeness };
  }

  private listEntries(): MadeSnapshot {
    const startedAt = this.clock.monotonic();
    const entries = `[${[...this.denials.notices()].map(lineOf).join(',')}]`;
    const digest = sha256(entries).toString('base64url');
    const doneAt = this.clock.monotonic();
    const reusableUntil = doneAt + Math.min(MAX_REUSE_MS, REUSE_FACTOR * (doneAt - startedAt));
    return { cursor: this.log.cursor, entries, digest, reusableUntil, time: NaN, body: '' };
  }

  private requireSight(): void {
    if (this.subscriber.isBlind()) throw new Problem('auth.unavailable');
  }
}
