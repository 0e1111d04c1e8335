import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Counter } from 'prom-client';
import { Problem } from '../../platform/api/problem.js';
import { Shutdown } from '../../platform/http/shutdown.js';
import { Jobs } from '../../platform/jobs/jobs.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { Clock } from '../../platform/runtime/clock.js';
import { Settings } from '../../platform/settings/settings.js';
import { DenialList, type RevocationNotice } from '../../sessions/revocation/denial-list.js';
import { RevocationSubscriber } from '../../sessions/revocation/revocation-subscriber.js';
import { sessionOfTokenId } from '../../sessions/token-id.js';
import type { Admission, RouteContext } from './admission.js';
import { Admissions } from './admissions.service.js';
import { OpenConnection, type Channel, type Watch } from './open-connection.js';
import { connectionSettings } from './settings.js';

declare module 'fastify' {
  interface FastifyInstance {
    readonly openConnections: OpenConnections;
  }
}

/** How often an instance looks for checks that are due, for its own blindness and for silent clients. */
const REVIEW_INTERVAL_MS = 1_000;
/** Proxies close a connection that is silent for a minute. */
const PING_INTERVAL_MS = 15_000;

/**
 * The open connections of this instance. A notice of the revocation feed closes those whose session, key or grant has
 * ended, and those whose user is banned.
 */
@Injectable()
export class OpenConnections implements Watch {
  private readonly all = new Set<OpenConnection<unknown>>();
  private readonly byCredential = new Map<string, Set<OpenConnection<unknown>>>();
  private readonly byUser = new Map<string, Set<OpenConnection<unknown>>>();
  private readonly endings: Counter<'code'>;
  private readonly perUser: number;

  constructor(
    readonly clock: Clock,
    private readonly admissions: Admissions,
    private readonly feed: RevocationSubscriber,
    private readonly shutdown: Shutdown,
    private readonly settings: Settings,
    denials: DenialList,
    jobs: Jobs,
    metrics: Metrics,
  ) {
    this.perUser = connectionSettings(settings).openConnectionsPerUser;
    denials.onNotice((notice) => this.apply(notice));
    shutdown.onDrain(() => this.endAll());
    jobs.every({
      name: 'open-connections',
      interval: REVIEW_INTERVAL_MS,
      scope: 'instance',
      run: async () => this.review(),
    });
    const { all } = this;
    metrics.gauge({
      name: 'open_connections',
      help: 'Event streams, WebSockets and guarded long responses that are open.',
      collect() {
        this.set(all.size);
      },
    });
    this.endings = metrics.counter({
      name: 'open_connections_ended_total',
      help: 'Open connections that the server has ended, by the code that the client gets.',
      labelNames: ['code'],
    });
  }

  /** Opens a connection for a request that the guards of its route have admitted. @throws Problem as {@link open} */
  openFor<Message>(
    context: RouteContext,
    request: FastifyRequest,
    channel: Channel<Message>,
  ): OpenConnection<Message> {
    return this.open(this.admissions.of(context, request), channel);
  }

  /**
   * Opens a connection. A revocation that arrived after the guards of its route is found here.
   *
   * @param admission null on a public route
   * @throws Problem as {@link requireRoom}
   */
  open<Message>(admission: Admission | null, channel: Channel<Message>): OpenConnection<Message> {
    this.requireRoom(admission);
    const connection = new OpenConnection(admission, channel, this);
    this.all.add(connection);
    for (const id of admission?.credentialIds ?? []) addTo(this.byCredential, id, connection);
    if (admission) addTo(this.byUser, admission.caller.userId, connection);
    return connection;
  }

  /**
   * @throws Problem `request.rate_limited` if the user has too many connections; `auth.unavailable` if this instance is
   *   blind or shuts down; as `Admission.objection`
   */
  requireRoom(admission: Admission | null): void {
    if (this.shutdown.isDraining) throw new Problem('auth.unavailable');
    if (admission === null) return;
    this.requireSight(admission);
    const objection = admission.objection();
    if (objection) throw objection;
    const { kind, userId } = admission.caller;
    const open = this.byUser.get(userId)?.size ?? 0;
    // A fleet of machines may use the keys of one user, such as verifiers that follow the revocation feed.
    if (kind !== 'api_key' && open >= this.perUser)
      throw new Problem('request.rate_limited', {
        headers: { 'retry-after': String(PING_INTERVAL_MS / 1_000) },
      });
  }

  /** See {@link Watch}. */
  mustCheck(): boolean {
    return this.settings.accessWhenBlind === 'session' && this.feed.isBlind();
  }

  /** See {@link Watch}. A blind instance cannot end a connection by the feed, so the session tier does not rely on it. */
  requireSight({ checksEachMessage }: Admission): void {
    const needsFeed = checksEachMessage || this.settings.accessWhenBlind === 'deny';
    if (needsFeed && this.feed.isBlind()) throw new Problem('auth.unavailable');
  }

  /** See {@link Watch}. */
  ended(problem: Problem): void {
    this.endings.inc({ code: problem.code });
  }

  /** See {@link Watch}. */
  closed(connection: OpenConnection<unknown>): void {
    this.all.delete(connection);
    const { admission } = connection;
    for (const id of admission?.credentialIds ?? []) removeFrom(this.byCredential, id, connection);
    if (admission) removeFrom(this.byUser, admission.caller.userId, connection);
  }

  get size(): number {
    return this.all.size;
  }

  /** Ends what is refused, checks what is due, and pings what is silent. */
  review(): void {
    const now = this.clock.monotonic();
    for (const connection of this.all) {
      connection.review();
      if (connection.isOpen && now - connection.lastSentAt >= PING_INTERVAL_MS) connection.ping();
    }
  }

  private endAll(): void {
    for (const connection of this.all) connection.end(shuttingDown());
  }

  private apply({ kind, subjects, tokenId }: RevocationNotice): void {
    if (this.all.size === 0) return;
    for (const connection of this.concerned(kind, tokenId, subjects)) {
      if (kind === 'stale') void connection.recheck();
      else connection.review();
    }
  }

  private concerned(
    kind: RevocationNotice['kind'],
    tokenId: string | null,
    subjects: string[],
  ): OpenConnection<unknown>[] {
    if (kind === 'everyone') return [...this.all];
    const ids = tokenId === null ? subjects : [sessionOfTokenId(tokenId)];
    return ids.flatMap((id) => [...(this.byCredential.get(id) ?? []), ...(this.byUser.get(id) ?? [])]);
  }
}

/** The client should connect again: another instance takes over. */
function shuttingDown(): Problem {
  return new Problem('auth.unavailable', { detail: 'This instance is shutting down. Connect again.' });
}

function addTo<T>(index: Map<string, Set<T>>, key: string, value: T): void {
  const values = index.get(key);
  if (values) values.add(value);
  else index.set(key, new Set([value]));
}

function removeFrom<T>(index: Map<string, Set<T>>, key: string, value: T): void {
  const values = index.get(key);
  if (values?.delete(value) && values.size === 0) index.delete(key);
}
