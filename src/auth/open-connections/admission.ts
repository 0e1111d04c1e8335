import type { ExecutionContext } from '@nestjs/common';
import type { Problem } from '../../platform/api/problem.js';
import type { Caller } from '../../platform/http/request.js';

/** The route of a connection, for its checks. */
export type RouteContext = Pick<ExecutionContext, 'getHandler' | 'getClass'>;

/**
 * The right of a connection to stay open. It demands of the caller what the route demanded of the request that opened
 * the connection.
 */
export interface Admission {
  readonly caller: Caller;
  /** The session, key or grant, and the session of a grant. A notice about one of them concerns the connection. */
  readonly credentialIds: readonly string[];
  /** Whether every message passes {@link check}: on routes with `@RequireSession()`. */
  readonly checksEachMessage: boolean;
  /** Until then the credential needs no check, in milliseconds since the epoch. */
  readonly until: number;

  /** Why the caller is refused by the revocations that this instance knows, without I/O; null if it is not. */
  objection(): Problem | null;

  /**
   * Checks the credential against the session cache or Postgres, as a request does. An access token that has expired
   * does not count: the session decides.
   *
   * @returns until when the next check is due, see {@link until}
   * @throws Problem as the check of a request
   */
  check(): Promise<number>;
}
