import type { ProblemCode } from '../../src/platform/api/problem.js';
import type { Role } from '../../src/roles.js';
import type { Transport } from '../../src/sessions/session.entity.js';
import type { Client } from './client.js';
import type { TestUser } from './test-users.js';

/** A client, and the user whose account its token names, if it is not itself a logged-in user. */
export type Caller = Client & { behind?: TestUser };

/** A kind of caller, by its credentials, with the expected answer of each tier. */
export interface CallerKind {
  /** A new user each time, logged in on this transport if the kind is logged in. */
  make(transport: Transport): Promise<Caller>;
  /** Whether the token is in the URL, and there only. */
  inUrl?: true;
  /** The answer of every route, public ones too. */
  everywhere?: ProblemCode;
  /** The answer of the access tier. Absent: accepted. */
  access?: ProblemCode;
  /** The answer of the session tier. */
  session?: ProblemCode;
  isStale?: true;
  /** The stored roles; `['user']` when absent. */
  roles?: Role[];
  /** The roles in the token; the stored ones when absent. */
  claimed?: Role[];
  /** For an API key: its scopes. Every route refuses a key, unless it allows one of them. */
  scopes?: string[];
  /** For an API key: the answer of the routes that allow keys. Absent: accepted. */
  key?: ProblemCode;
  /** The same, with `scopes` and `key`, for an app; a route may allow keys and no apps. */
  isApp?: true;
}
