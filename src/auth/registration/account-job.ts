import type { RequestContext } from '../../platform/http/request.js';

/** A job about an e-mail address or account, which runs after its request has been answered. */
export type AccountJob =
  /** A client registers with this address. `registered`: the request has created an account. */
  | { kind: 'registered' | 'registered_taken'; email: string; context: RequestContext }
  | { kind: 'password_forgotten'; email: string; context: RequestContext }
  /** A session requests a change to this address. */
  | { kind: 'email_change'; email: string; userId: string; sessionId: string; context: RequestContext };

/** By the database's clock. */
export type RequestedAccountJob = AccountJob & { requestedAt: Date };
