import type { Origin } from '../common/request.js';

/** What is to be done about an address, after its request has been answered. */
export type Errand =
  /** Somebody registers with this address; `made` when an account came of it. */
  | { kind: 'registered' | 'registered_taken'; email: string; origin: Origin }
  | { kind: 'password_forgotten'; email: string; origin: Origin }
  /** To this address, unless the password has changed since; null from an older version, which does not say. */
  | {
      kind: 'email_change';
      email: string;
      userId: string;
      passwordDigest: Buffer | null;
      origin: Origin;
    };
