import type { Origin } from '../common/request.js';

/** A job about an e-mail address or account, which runs after its request has been answered. */
export type Errand =
  /** A client registers with this address. `registered`: the request has created an account. */
  | { kind: 'registered' | 'registered_taken'; email: string; origin: Origin }
  | { kind: 'password_forgotten'; email: string; origin: Origin }
  /** A session requests a change to this address. */
  | { kind: 'email_change'; email: string; userId: string; sessionId: string; origin: Origin };

/** By the database's clock. */
export type RequestedErrand = Errand & { requestedAt: Date };
