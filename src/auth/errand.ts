import type { Origin } from '../common/request.js';

/** What is to be done about an address, after its request has been answered. */
export type Errand =
  /** Somebody registers with this address; `made` when an account came of it. */
  | { kind: 'registered' | 'registered_taken'; email: string; origin: Origin }
  | { kind: 'password_forgotten'; email: string; origin: Origin }
  /** To this address, requested by this session. */
  | { kind: 'email_change'; email: string; userId: string; sessionId: string; origin: Origin };

/** By the database's clock. */
export type RequestedErrand = Errand & { requestedAt: Date };
