import { Injectable, type MessageEvent } from '@nestjs/common';
import {
  catchError,
  defer,
  EMPTY,
  exhaustMap,
  filter,
  ignoreElements,
  map,
  merge,
  share,
  Subject,
  tap,
  timer,
  type Observable,
} from 'rxjs';
import { DataSource } from 'typeorm';
import { Clock } from '../../platform/runtime/clock.js';
import { countLiveSessions } from '../../sessions/live-sessions.repository.js';
import { DenialList } from '../../sessions/revocation/denial-list.js';
import { batched, type Batch } from './batched.js';
import { InstanceBoard } from './instance-board.js';
import { LiveChannel } from './live-channel.js';
import type { Arrival, LiveEvents, LiveMessage, RevocationSeen } from './live.schemas.js';

/** Instances report for 10 s after each message. */
const WATCH_INTERVAL_MS = 3_000;
const BOARD_INTERVAL_MS = 1_000;
/** The other instances have answered the first message by then. */
const FIRST_BOARD_MS = 250;
const TOTALS_INTERVAL_MS = 5_000;

/**
 * The live view of all instances for admins. The admins who watch at this instance share one subscription. While no admin
 * watches, this instance sends, queries and keeps nothing.
 */
@Injectable()
export class LiveView {
  /** See `LIVE_EVENTS`. */
  readonly events: Observable<MessageEvent>;
  private readonly messages = new Subject<LiveMessage>();
  private readonly revocations = new Subject<RevocationSeen>();

  constructor(
    private readonly channel: LiveChannel,
    private readonly database: DataSource,
    private readonly clock: Clock,
    denials: DenialList,
  ) {
    channel.subscribe((message) => this.messages.next(message));
    denials.onNotice(({ seq, kind, reason, createdAt }, isNews) => {
      if (isNews && kind !== 'stale') this.revocations.next({ seq, kind, reason, at: createdAt });
    });
    this.events = merge(
      this.instances(),
      this.seenRevocations(),
      this.arrivals(),
      this.totals(),
      this.requests(), // last: it brings the answers
    ).pipe(share());
  }

  /** Asks all instances for reports, this one included. */
  private requests(): Observable<never> {
    return timer(0, WATCH_INTERVAL_MS).pipe(
      exhaustMap(() => this.channel.send({ type: 'watch' })),
      ignoreElements(),
    );
  }

  private instances(): Observable<MessageEvent> {
    return defer(() => {
      const board = new InstanceBoard();
      const reports = this.messages.pipe(
        tap((message) => {
          if (message.type === 'report') board.take(message.report, this.clock.monotonic());
        }),
        ignoreElements(),
      );
      const views = timer(FIRST_BOARD_MS, BOARD_INTERVAL_MS).pipe(
        map(() => event('instances', { instances: board.view(this.clock.monotonic()) })),
      );
      return merge(reports, views);
    });
  }

  private seenRevocations(): Observable<MessageEvent> {
    const single = this.revocations.pipe(map((revocation) => ({ items: [revocation], dropped: 0 })));
    return batched(single).pipe(
      map(({ items, dropped }) => event('revocations', { revocations: items, dropped })),
    );
  }

  private arrivals(): Observable<MessageEvent> {
    const reported = this.messages.pipe(
      filter((message) => message.type === 'arrivals'),
      map(({ arrivals, dropped }): Batch<Arrival> => ({ items: arrivals, dropped })),
    );
    return batched(reported).pipe(
      map(({ items, dropped }) => event('arrivals', { arrivals: items, dropped })),
    );
  }

  /** A query that fails is left out: the stream ends only with its session. */
  private totals(): Observable<MessageEvent> {
    return timer(0, TOTALS_INTERVAL_MS).pipe(
      exhaustMap(() => defer(() => countLiveSessions(this.database.manager)).pipe(catchError(() => EMPTY))),
      map((totals) => event('totals', totals)),
    );
  }
}

function event<Name extends keyof LiveEvents>(type: Name, data: LiveEvents[Name]): MessageEvent {
  return { type, data };
}
