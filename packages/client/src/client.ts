import type { Grant, MfaRequired, Operations } from './api-types.js';
import { BearerCredentials, memoryStorage, type TokenStorage } from './bearer-credentials.js';
import { baseOf, Call, type FetchInput } from './call.js';
import { CookieCredentials, type Channel } from './cookie-credentials.js';
import {
  Endpoints,
  challengeIn,
  failureOf,
  grantIn,
  parseJson,
  problemIn,
  type Answer,
} from './endpoints.js';
import type { Person } from './credentials.js';
import type { SessionEnded } from './errors.js';
import { localLocks, platformLocks, type Locks } from './locks.js';
import { isOfAnother, mayBeMended, Session, type Refusal, type Tried } from './session.js';
import { Patience, systemTime, type Time } from './time.js';

/** The product in the names of Web Locks and of the channel between tabs. Clients of one origin share both. */
export const PRODUCT = 'drawbridge';

export interface ClientOptions {
  /**
   * The address of the API: `https://api.example.com`. In a page also a path, or nothing for the page's own origin.
   */
  baseUrl?: string;
  /** `cookie` for pages of the API's own origin, `bearer` for everything else. */
  transport: 'cookie' | 'bearer';
  /** The storage of bearer tokens [in memory]. */
  storage?: TokenStorage;
  /**
   * Binds bearer sessions to a key of this device, so that copied tokens cannot be refreshed elsewhere [none]. See
   * `device-key.ts`.
   */
  deviceKey?: DeviceKey;
  /**
   * Called when a login is complete, also after its second factor. With cookies also when it happened in another tab.
   */
  onSessionBegun?: (begun: Person) => void;
  /** Called once when the session has ended, in this tab or in another one. */
  onSessionEnded?: (ended: SessionEnded) => void;
  /** Refresh in the last tenth of an access token's lifetime, in parallel with the calls [true]. */
  refreshAhead?: boolean;
  /** Timeout of one refresh in ms [3000]. At most a third of the server's `REFRESH_GRACE`. */
  refreshTimeout?: number;
  /** How many times a GET, HEAD or OPTIONS is retried after a network error, a 429 or a 503 [2]. */
  retries?: number;

  /**
   * Replace the platform's own implementations. Without a channel (null), a tab learns only from the server about
   * logins, refreshes and logouts in other tabs.
   */
  fetch?: typeof globalThis.fetch;
  locks?: Locks;
  channel?: Channel | null;
  time?: Time;
  random?: () => number;
}

/** Proves the key of the device in the requests that begin, renew and step up a session. */
export type DeviceKey = (fetch: typeof globalThis.fetch) => typeof globalThis.fetch;

export interface CallOptions {
  signal?: AbortSignal;
}

export type LoginBody = Omit<Operations['POST /v1/auth/login']['body'], 'transport'>;
export type MfaLoginService = Operations['POST /v1/auth/login/mfa']['body'];
export type LoggedIn = Pick<Grant, 'user' | 'session'>;
export type PasskeyLoginBody = Omit<Operations['POST /v1/auth/login/passkey']['body'], 'transport'>;
export type Proof =
  { password: string } | { code: string } | Operations['POST /v1/auth/reauthenticate/passkey']['body'];

export interface Client {
  readonly transport: 'cookie' | 'bearer';
  /**
   * Works like the platform's `fetch`, for paths below `baseUrl`, with the session's credentials. If the access token
   * has expired, the client refreshes and sends the request again. `credentials: 'omit'` makes an unauthenticated
   * call.
   * @throws SessionEnded | AuthUnavailable | BodyNotReplayable, or any error of `fetch`
   */
  fetch(input: FetchInput, init?: RequestInit): Promise<Response>;
  /**
   * Logs a user in. A user with an enrolled second factor gets `MfaRequired`: ask for a code and call
   * {@link completeLogin}.
   * @throws ApiProblem | AuthUnavailable
   */
  login(login: LoginBody | PasskeyLoginBody, options?: CallOptions): Promise<LoggedIn | MfaRequired>;
  /**
   * Completes a login with a code of an authenticator app, or with a recovery code.
   * @throws ApiProblem (`auth.invalid_credentials`: try another code; `auth.invalid_token`: log in again) |
   *   AuthUnavailable
   */
  completeLogin(step: MfaLoginService, options?: CallOptions): Promise<LoggedIn>;
  /**
   * Ends the session. When the promise resolves, the session has ended on the server as well.
   * @throws ApiProblem | AuthUnavailable; the session is then unchanged
   */
  logout(): Promise<void>;
  /**
   * Makes the session fresh again (step-up).
   * @throws ApiProblem | AuthUnavailable | SessionEnded
   */
  reauthenticate(proof: Proof, options?: CallOptions): Promise<void>;
  /** How the session ended; null while it has not. */
  readonly ended: SessionEnded | null;
  /** Stops listening to other tabs. */
  close(): void;
}

/** Creates a client. It sends and reads nothing until the first call. */
export function createClient(options: ClientOptions): Client {
  return new SessionClient(options);
}

class SessionClient implements Client {
  readonly transport: 'cookie' | 'bearer';
  private readonly base: string;
  private readonly send: typeof globalThis.fetch;
  private readonly patience: Patience;
  private readonly credentials: BearerCredentials | CookieCredentials;
  private readonly door: Endpoints;
  private readonly session: Session;
  private readonly retries: number;

  constructor({ baseUrl = '', transport, time = systemTime, ...options }: ClientOptions) {
    this.transport = transport;
    this.base = baseOf(baseUrl);
    this.send = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    // oxlint-disable-next-line no-restricted-properties -- spreads retries, keeps no secret
    this.patience = new Patience(time, options.random ?? (() => Math.random()));
    this.retries = options.retries ?? 2;
    const name = `${PRODUCT} ${this.base}`;
    const channel = options.channel === undefined ? platformChannel : () => options.channel ?? null;
    this.credentials =
      transport === 'bearer'
        ? new BearerCredentials(options.storage ?? memoryStorage(), time)
        : new CookieCredentials(
            channel(name),
            time,
            {
              ended: (reason, endedAt) => void this.session.end(reason, endedAt),
              begun: (person) => this.session.begun(person),
            },
            () => this.door.whoami(),
          );
    this.door = new Endpoints({
      base: this.base,
      mode: this.credentials.mode,
      fetch: options.deviceKey ? options.deviceKey(this.send) : this.send,
      time,
      patience: this.patience,
      limit: options.refreshTimeout ?? 3_000,
    });
    this.session = new Session({
      credentials: this.credentials,
      door: this.door,
      locks: options.locks ?? platformLocks() ?? localLocks(),
      name,
      time,
      patience: this.patience,
      refreshAhead: options.refreshAhead ?? true,
      onBegun: options.onSessionBegun,
      onEnded: options.onSessionEnded,
    });
  }

  get ended(): SessionEnded | null {
    return this.session.ended;
  }

  fetch = async (input: FetchInput, init: RequestInit = {}): Promise<Response> => {
    const call = new Call(this.base, input, init);
    if (call.anonymous) return call.send(this.send, 'omit', {});
    return this.session.authorized(call, ({ headers }) => this.sendPatiently(call, headers));
  };

  async login(
    login: LoginBody | PasskeyLoginBody,
    { signal }: CallOptions = {},
  ): Promise<LoggedIn | MfaRequired> {
    return this.session.exclusively(async () => {
      const request = await this.credentials.loginRequest(login);
      const answer = await this.door.post(doorFor('login', login), request, { signal, limit: null });
      return challengeIn(answer) ?? this.begin(answer);
    });
  }

  async completeLogin(step: MfaLoginService, { signal }: CallOptions = {}): Promise<LoggedIn> {
    return this.session.exclusively(async () => {
      const request = await this.credentials.secondStepRequest(step);
      return this.begin(await this.door.post('login/mfa', request, { signal, limit: null }));
    });
  }

  async logout(): Promise<void> {
    if (this.ended) return;
    await this.session.insist(async () => {
      const held = await this.credentials.look();
      const request = this.credentials.logoutRequest(held);
      if (!request) return;
      const answer = await this.door.post('logout', request);
      if (answer.status !== 204) throw failureOf(answer);
      await this.session.finish(held, 'logout');
    });
  }

  async reauthenticate(proof: Proof, { signal }: CallOptions = {}): Promise<void> {
    await this.session.authorized({ replayable: true, signal }, (held) =>
      this.session.exclusively(async (): Promise<Tried<void>> => {
        // A refresh may have run meanwhile. The proof must count for the tokens of that refresh.
        const latest = await this.credentials.look();
        const asked = isOfAnother(latest.userId, held.userId) ? held : latest;
        const request = this.credentials.reauthenticationRequest(asked, proof);
        const answer = await this.door.post(doorFor('reauthenticate', proof), request, { signal });
        const grant = grantIn(answer, this.credentials.transport);
        const refusal = answer.status === 401 ? problemIn(answer) : undefined;
        if (grant) await this.credentials.renew(grant, asked);
        else if (!refusal || !mayBeMended(refusal, asked)) throw failureOf(answer);
        return { refusal, value: undefined };
      }),
    );
  }

  close(): void {
    this.credentials.close();
  }

  private async begin(answer: Answer): Promise<LoggedIn> {
    const grant = grantIn(answer, this.credentials.transport);
    if (!grant) throw failureOf(answer);
    await this.session.begin(grant);
    return { user: grant.user, session: grant.session };
  }

  /**
   * Retries a safe request that the server could not answer. An unsafe request is sent again only after the server
   * has refused it.
   */
  private async sendPatiently(call: Call, headers: Record<string, string>): Promise<Tried<Response>> {
    for (let failures = 1; ; failures++) {
      const again = call.safe && failures <= this.retries;
      let retryAfter: number | undefined;
      try {
        const response = await call.send(this.send, this.credentials.mode, headers);
        retryAfter = this.patience.retryAfterOf(response);
        const busy = response.status === 429 || response.status === 503;
        if (!again || !busy || !(await this.patience.pause(failures, retryAfter, call.signal)))
          return { refusal: await refusalIn(response), value: response };
        await response.body?.cancel();
      } catch (error) {
        if (!again || call.signal?.aborted) throw error;
        await this.patience.pause(failures, 0, call.signal);
      }
    }
  }
}

/** Passkeys have separate endpoints, see `passkeys.ts`. */
function doorFor(name: string, proof: object): string {
  return 'response' in proof ? `${name}/passkey` : name;
}

/** The problem of a 401. The answer to a HEAD has no body, so its `WWW-Authenticate` header is read instead. */
async function refusalIn(response: Response): Promise<Refusal | undefined> {
  if (response.status !== 401) return undefined;
  const problem = problemIn({ body: parseJson(await response.clone().text()) });
  if (problem) return problem;
  const isRefusal = /error="invalid_token"/.test(response.headers.get('www-authenticate') ?? '');
  return isRefusal ? { code: 'auth.token_expired' } : undefined;
}

function platformChannel(name: string): Channel | null {
  if (typeof BroadcastChannel === 'undefined') return null;
  const channel = new BroadcastChannel(name) as unknown as Channel & { unref?(): void };
  channel.unref?.(); // in Node an open channel would keep the process running
  return channel;
}
