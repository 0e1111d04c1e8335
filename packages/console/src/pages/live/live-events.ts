/** The events of `GET /v1/admin/live`. The server defines them in `src/admin/live/live.schemas.ts`. */
export interface LiveEvents {
  /** Each second. */
  instances: { instances: LiveInstance[] };
  /** Within 0.1 s. `dropped`: how many more there were. */
  revocations: { revocations: RevocationSeen[]; dropped: number };
  arrivals: { arrivals: Arrival[]; dropped: number };
  /** Every 5 s. */
  totals: Totals;
}

export interface LiveInstance {
  id: string;
  /** Of its host. */
  name: string;
  /** Milliseconds since the epoch. */
  startedAt: number;
  /** `blind`: its denial list may be incomplete. `silent`: it has sent no report for 4 s. */
  state: 'current' | 'blind' | 'silent';
  feedAgeMs: number;
  connections: number;
  /** All verifiers that follow it. `followers` has the first of them. */
  followerCount: number;
  followers: Follower[];
  /** Since the start of the instance. */
  counters: { logins: number; problems: Record<string, number> };
}

/** One open stream of a verifier. Its name is the name of its API key. */
export interface Follower {
  id: string;
  name: string;
}

export interface RevocationSeen {
  seq: number;
  kind: 'token' | 'session' | 'user' | 'everyone';
  reason: string;
  /** Milliseconds since the epoch. */
  at: number;
}

export interface Arrival {
  seq: number;
  /** The id of an instance or of a follower. */
  lane: string;
  delayMs: number;
  /** The greatest error of the delay. */
  errorMs: number;
}

export interface Totals {
  liveSessions: number;
  isEstimate: boolean;
}
