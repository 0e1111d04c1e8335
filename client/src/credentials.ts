import type { Grant } from './api-types.js';
import type { EndReason } from './errors.js';

/** Whose session it is, and which one. */
export interface Person {
  userId: string;
  sessionId: string;
}

/** What a call is made with, at one moment. */
export interface Held {
  /** Another one as soon as calls are made with something else: after a refresh, after a login, here or in another tab. */
  mark: unknown;
  /** Whose session it is, where that is known. */
  userId?: string;
  /** From then on it is time to refresh, by this machine's clock in ms; where that is known. */
  renewAt?: number;
  /** Whether a call can be made with it, or has to wait for a refresh. */
  usable: boolean;
  headers: Record<string, string>;
}

/** What a request to one of the doors under /v1/auth is made with. */
export interface AuthRequest {
  headers?: Record<string, string>;
  body?: unknown;
}

/** `credentials` of `fetch`. */
export type CredentialsMode = NonNullable<RequestInit['credentials']>;

/** How a session travels: in cookies that no script sees, or in tokens that the app keeps. */
export interface Credentials {
  readonly transport: 'cookie' | 'bearer';
  /** Bearer tokens and cookies in one request would be one credential too many. */
  readonly mode: CredentialsMode;
  /** As last read or written. */
  held(): Promise<Held>;
  /** As it stands now, if another tab has written it. */
  look(): Promise<Held>;
  /** Whether a session of this person has come back since theirs ended here: they have logged in in another tab. */
  isBack(userId: string | undefined): Promise<boolean>;
  loginRequest(login: object): Promise<AuthRequest>;
  secondStepRequest(step: object): Promise<AuthRequest>;
  reauthenticationRequest(held: Held, proof: object): AuthRequest;
  /** null when there is nothing to refresh, or to end */
  refreshRequest(held: Held): AuthRequest | null;
  logoutRequest(held: Held): AuthRequest | null;
  /** Keeps what a login has brought. */
  begin(grant: Grant): Promise<Held>;
  /** Keeps what a refresh has brought, in the place of what it was made with. @returns what is held now */
  renew(grant: Grant, before: Held): Promise<Held>;
  /** Where nobody can look: another tab has refreshed what all of them hold, and it is this person's. */
  moved?(person: Person): Held;
  /** The session is over; a device token stays. */
  drop(held: Held, reason: EndReason, endedAt?: string): Promise<void>;
  close(): void;
}

/**
 * When nine tenths of its life are over. Nothing depends on it: a token that expires sooner is refreshed when the
 * server says so.
 */
export function renewAtOf(expiresIn: number | undefined, now: number): number | undefined {
  return expiresIn === undefined ? undefined : now + expiresIn * 900;
}
