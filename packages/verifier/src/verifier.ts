import { AccessTokens, type Principal, type Verified } from './access-tokens.js';
import { bearerOf } from './credentials.js';
import { DenialList, type Ended } from './denial-list.js';
import type { FeedEntry } from './feed/entry.js';
import { FeedFollower } from './feed/feed-follower.js';
import { FeedState } from './feed/feed-state.js';
import { KeySet } from './key-set.js';
import type { BlindPolicy, CheckedRequest, VerifierOptions, VerifierState } from './options.js';
import { Refusal } from './refusal.js';
import { Sightings } from './sightings.js';
import { FlooredClock, randomFraction, systemTime, type Time } from './time.js';
import { Watchers } from './watchers.js';

const CACHE_BYTES = 16 * 1_024 * 1_024;
const FLOOR_TIMEOUT_MS = 2_000;
const KEY_REFRESH_MS = 30_000;

/** Decides about requests to a service that is not the application. Make one for each process. */
export class Verifier {
  private readonly denials = new DenialList();
  private readonly tokens: AccessTokens;
  private readonly state: FeedState;
  private readonly follower: FeedFollower;
  private readonly keys: KeySet;
  private readonly time: Time;
  private readonly listeners = new Set<(entry: FeedEntry) => void>();
  private readonly watchers = new Watchers(this.denials);
  private readonly sightings: Sightings;
  private cancelRefresh = () => undefined as void;

  constructor(private readonly options: VerifierOptions) {
    const { url, feed = url, issuer, audience, apiKey, claims = {}, taps } = options;
    const { cacheBytes = CACHE_BYTES, fetch = globalThis.fetch, time = systemTime } = options;
    const { random = randomFraction, onInterruption = () => undefined } = options;
    this.time = time;
    const clock = new FlooredClock(time);
    const keys = (this.keys = new KeySet(`${baseOf(url)}/.well-known/jwks.json`, fetch, time));
    const { denials } = this;
    this.tokens = new AccessTokens({ issuer, audience, claims, cacheBytes, keys, clock });
    const onEntry = (entry: FeedEntry) => {
      for (const listener of this.listeners) listener(entry);
    };
    this.state = new FeedState({ issuer, keys, denials, time, clock, onEntry });
    this.sightings = new Sightings(this.state, time);
    const urls = [feed].flat().map(baseOf);
    const { state } = this;
    const onProgress = () => {
      this.watchers.look();
      this.sightings.look();
    };
    const own = { urls, apiKey, state, fetch, time, random, onProgress, onInterruption };
    this.follower = new FeedFollower({ ...own, ...taps });
    this.start();
  }

  /** Resolves when the first list is there. Before, every request is refused by 503. */
  ready(): Promise<void> {
    return this.sightings.ready;
  }

  get status(): VerifierState {
    if (!this.state.isListed) return 'booting';
    return this.state.isBlind() ? 'blind' : 'current';
  }

  /** Milliseconds since the time up to which the list is known to be complete. For a metric. */
  get age(): number {
    return this.state.age();
  }

  /**
   * The caller of a request, by `Authorization: Bearer`. Asynchronous only if the request has to wait: for a revocation
   * (`X-Min-Revocation-Seq`), for a new key, or for the policy of a blind verifier.
   *
   * @throws Refusal `auth.unauthenticated`, `auth.ambiguous_credentials`, `auth.invalid_token`, `auth.token_expired`,
   *   `auth.session_ended`, `auth.unavailable`, `request.invalid`
   */
  check(request: CheckedRequest): Principal | Promise<Principal> {
    const token = bearerOf(request);
    const floor = request.headers['x-min-revocation-seq'];
    if (floor !== undefined) return this.checkAbove(token, floor);
    const principal = this.authenticate(token);
    if (principal instanceof Promise) return principal.then((found) => this.admit(found));
    return this.admit(principal);
  }

  /** Calls the listener with each revocation that arrives. @returns a function that stops */
  onRevoked(listener: (entry: FeedEntry) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /**
   * Calls back once when the session or the token of a caller ends: close the caller's sockets and streams then.
   *
   * @returns a function that stops; call it when the connection closes
   */
  watch(principal: Principal, onEnd: (ended: Ended) => void): () => void {
    return this.watchers.add(principal, onEnd);
  }

  /** Stops following. Requests are then decided as by a blind verifier. */
  close(): void {
    this.cancelRefresh();
    this.follower.stop();
  }

  private start(): void {
    const refresh = () => {
      void this.keys.refresh().catch(() => undefined);
      this.cancelRefresh = this.time.after(KEY_REFRESH_MS, refresh);
    };
    refresh();
    void this.follower.run();
  }

  /** Checks the token first: a request that is refused anyway must not wait. */
  private async checkAbove(token: string, floor: string | string[]): Promise<Principal> {
    await this.authenticate(token);
    if (typeof floor !== 'string' || !/^\d{1,18}$/.test(floor)) {
      const message = 'must be the `seq` of a receipt';
      throw new Refusal('request.invalid', { errors: [{ path: 'X-Min-Revocation-Seq', message }] });
    }
    const isSeen = await this.sightings.of(Number(floor), this.options.floorTimeout ?? FLOOR_TIMEOUT_MS);
    if (!isSeen) throw new Refusal('auth.unavailable');
    return this.admit(await this.authenticate(token));
  }

  private authenticate(token: string): Principal | Promise<Principal> {
    if (!this.state.isListed) throw new Refusal('auth.unavailable');
    const verified = this.tokens.verify(token);
    return verified instanceof Promise ? verified.then((found) => this.judge(found)) : this.judge(verified);
  }

  private judge(verified: Verified): Principal {
    const { principal } = verified;
    const { revision } = this.denials;
    if (verified.passed === revision) return principal;
    const ended = this.denials.endOf(principal);
    if (ended) throw sessionEnded(ended);
    if (this.denials.endOfToken(principal)) throw new Refusal('auth.token_expired');
    verified.passed = revision;
    return principal;
  }

  private admit(principal: Principal): Principal | Promise<Principal> {
    if (!this.state.isBlind()) return principal;
    const { whenBlind } = this.options;
    if (typeof whenBlind === 'function') return this.ask(whenBlind, principal);
    if (whenBlind === 'allow') return principal;
    throw new Refusal('auth.unavailable');
  }

  private async ask(policy: Exclude<BlindPolicy, string>, principal: Principal): Promise<Principal> {
    if (!(await policy(principal))) throw new Refusal('auth.unavailable');
    return principal;
  }
}

function sessionEnded({ reason, at }: Ended): Refusal {
  return new Refusal('auth.session_ended', { reason, endedAt: new Date(at).toISOString() });
}

const baseOf = (url: string) => url.replace(/\/+$/, '');
