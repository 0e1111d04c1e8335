import type { Grant } from './api-types.js';
import type { EndReason } from './errors.js';

/** The user of a session, and the session. */
export interface Person {
  userId: string;
  sessionId: string;
}

/** The credentials of a call at one moment. */
export interface Held {
  /** Changes as soon as calls use other credentials: after a refresh or a login, in this tab or in another one. */
  mark: unknown;
  /** The user of the session, if known. */
  userId?: string;
  /** Time from which a refresh is due, by the clock of this machine in ms, if known. */
  renewAt?: number;
  /** Whether a call can use these credentials now. If not, it waits for a refresh. */
  usable: boolean;
  headers: Record<string, string>;
}

/** Headers and body of a request to an endpoint under /v1/auth. */
export interface AuthRequest {
  headers?: Record<string, string>;
  body?: unknown;
}

/** The `credentials` option of `fetch`. */
export type CredentialsMode = NonNullable<RequestInit['credentials']>;

/** How a session is transported: in cookies that no script can read, or in tokens that the app keeps. */
export interface Credentials {
  readonly transport: 'cookie' | 'bearer';
  /** Bearer calls omit cookies: a request with both would carry two credentials. */
  readonly mode: CredentialsMode;
  /** The state as last read or written. */
  held(): Promise<Held>;
  /** The current state, including changes by another tab. */
  look(): Promise<Held>;
  /** Whether this user has logged in again in another tab since the session ended here. */
  isBack(userId: string | undefined): Promise<boolean>;
  loginRequest(login: object): Promise<AuthRequest>;
  secondStepRequest(step: object): Promise<AuthRequest>;
  reauthenticationRequest(held: Held, proof: object): AuthRequest;
  /** null if there is nothing to refresh or to end */
  refreshRequest(held: Held): AuthRequest | null;
  logoutRequest(held: Held): AuthRequest | null;
  /** Keeps the result of a login. */
  begin(grant: Grant): Promise<Held>;
  /**
   * Keeps the result of a refresh in place of the credentials that it was made with.
   * @returns the current credentials
   */
  renew(grant: Grant, before: Held): Promise<Held>;
  /**
   * The device has lost the key of the session: until the user reauthenticates, the server accepts nothing else.
   * @param accessToken for the reauthentication; a browser gets it in a cookie
   */
  restrict(held: Held, accessToken: string | undefined): Promise<Held>;
  /**
   * Only for credentials that cannot be read (cookies): another tab has refreshed the shared credentials, and they
   * belong to this user.
   */
  moved?(person: Person): Held;
  /** Removes the credentials after the session has ended. A device token stays. */
  drop(held: Held, reason: EndReason, endedAt?: string): Promise<void>;
  close(): void;
}

/**
 * The time at which nine tenths of the token's lifetime are over. Nothing depends on it: if a token expires sooner,
 * the client refreshes when the server says so.
 * @param expiresIn lifetime of the access token in seconds
 * @param now ms since the epoch
 */
export function renewAtOf(expiresIn: number | undefined, now: number): number | undefined {
  return expiresIn === undefined ? undefined : now + expiresIn * 900;
}
