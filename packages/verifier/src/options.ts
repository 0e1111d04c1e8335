import type { ClaimCheck } from './access-token.js';
import type { Principal } from './access-tokens.js';
import type { FeedFollowerOptions } from './feed/feed-follower.js';
import type { Time } from './time.js';

/** The policy while the list may lack a revocation. A function is asked for each request; false refuses by 503. */
export type BlindPolicy = 'allow' | 'deny' | ((principal: Principal) => boolean | Promise<boolean>);

export interface VerifierOptions {
  /** The address of the application: `https://api.example.com`. Its keys are read from there. */
  url: string;
  /** Where to follow the feed: addresses of instances or of relays [`url`]. */
  feed?: string | readonly string[];
  /** `TOKEN_ISSUER` of the application. */
  issuer: string;
  /** `TOKEN_AUDIENCE` of the application. */
  audience: string;
  /** An API key of the application with the scope `revocations:read`, or a key of the relay. */
  apiKey: string;
  /**
   * The policy without an authentic heartbeat for 5 s. `allow`: a revoked token works until its `exp`, at most 15 minutes.
   * `deny`: 503.
   */
  whenBlind: BlindPolicy;
  /** The claims that the application declares, with a check of each value [none]. Others are refused. */
  claims?: Readonly<Record<string, ClaimCheck>>;
  /** The size of the cache of verified tokens [16 MiB: about 15,000 tokens]. */
  cacheBytes?: number;
  /** How long a request with `X-Min-Revocation-Seq` waits for that revocation, in ms [2000]. */
  floorTimeout?: number;
  /** Called when the feed is interrupted, with the reason, and with null when it has resumed [nothing]. */
  onInterruption?: (reason: string | null) => void;

  /** Replace the platform's own implementations. */
  fetch?: typeof globalThis.fetch;
  time?: Time;
  random?: () => number;
  /** For a relay: see `createRelay`. */
  taps?: Pick<FeedFollowerOptions, 'onSnapshot' | 'onEvent'>;
}

/** The parts of a request that decide about it. Header names are in lower case. */
export interface CheckedRequest {
  headers: Record<string, string | string[] | undefined>;
  /** As Node has it: names and values in turn. It shows a second `Authorization` header, which `headers` drops. */
  rawHeaders?: readonly string[];
}

/** `booting`: no list yet. `blind`: the list may lack a revocation of the last 5 s or more. */
export type VerifierState = 'booting' | 'current' | 'blind';
