import { expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { ALICE, PASSWORD, startApp, type TestApp, type TestAppOptions } from '../../../test/support/app.js';
import type { FaultProxy } from '../../../test/support/fault-proxy.js';
import { eventually } from '../../../test/support/waiting.js';
import {
  createClient,
  memoryStorage,
  type Channel,
  type Client,
  type ClientOptions,
  type SessionEnded,
  type Time,
  type Tokens,
  type TokenStorage,
} from '../src/index.js';

export const FLAGS = '/v1/probe/flags';
export const SESSION = '/v1/sessions/current';
export const REFRESH = '/v1/auth/refresh';
/** Longer than any access token lives, and than any grace. */
export const EXPIRY = 16 * 60_000;
export const TRANSPORTS = ['cookie', 'bearer'] as const;

/** The real application on a real socket, which counts requests. */
export interface TestServer extends TestApp {
  url: string;
  /** The number of requests for a path since the last call. */
  arrived(path: string): number;
}

export async function startServer({ env, ...options }: TestAppOptions = {}): Promise<TestServer> {
  const app = await startApp({ env: { SESSION_LIMIT: '1000', ...env }, ...options });
  await app.app.listen(0, '127.0.0.1');
  const counts = new Map<string, number>();
  const server = app.app.getHttpServer() as unknown as Server;
  server.on('request', ({ url = '' }) => counts.set(url, (counts.get(url) ?? 0) + 1));
  const arrived = (path: string) => {
    const count = counts.get(path) ?? 0;
    counts.delete(path);
    return count;
  };
  return { ...app, url: (await app.app.getUrl()).replace('[::1]', '127.0.0.1'), arrived };
}

/** Timeouts of the client: for an exchange, a lock and a silent stream. No other delay has these values. */
const LIMITS = [3_000, 5_000, 45_000];

/** The client's clock and timers. Pauses end at once, and timeouts pass when the test advances them. */
export class TestTime implements Time {
  /** Whether pauses, too, last until `skip()`. */
  holding = false;
  readonly pauses: number[] = [];
  private readonly pending = new Set<{ ms: number; run: () => void }>();
  private offset = 0;

  now(): number {
    return Date.now() + this.offset;
  }

  advance(ms: number): void {
    this.offset += ms;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { ms, run };
    if (!LIMITS.includes(ms)) this.pauses.push(ms);
    if (!LIMITS.includes(ms) && !this.holding) setImmediate(run);
    else this.pending.add(timer);
    return () => void this.pending.delete(timer);
  }

  /** The delays of all timers that are pending now. */
  get waiting(): number[] {
    return [...this.pending].map(({ ms }) => ms);
  }

  /** Advances the time. */
  skip(ms: number): void {
    this.advance(ms);
    for (const timer of [...this.pending].filter((timer) => timer.ms <= ms)) {
      this.pending.delete(timer);
      timer.run();
    }
  }
}

/** The network is back, and Node has noticed which of its connections are dead. */
export async function heal(network: FaultProxy): Promise<void> {
  network.heal();
  await eventually(() => fetch(`${network.url}health/live`));
}

type Fetch = typeof globalThis.fetch;

/** A browser's cookie jar that its tabs share, with the `fetch` of a page of the server's own origin. */
export class Jar {
  readonly cookies = new Map<string, string>();
  private readonly name = randomUUID();
  private held: { path: string; released: Promise<void> } | undefined;

  /**
   * The answer to the next request for a path is on its way until the test releases it.
   * @returns the function that releases it
   */
  holdAnswerTo(path: string): () => void {
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    this.held = { path, released };
    return release;
  }

  /** The channel between the tabs of one browser. */
  channel(): Channel {
    const channel = new BroadcastChannel(this.name);
    (channel as unknown as { unref(): void }).unref();
    return channel as unknown as Channel;
  }

  fetch: Fetch = async (input, init) => {
    const headers = new Headers(init?.headers);
    const sent = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    if (sent && init?.credentials !== 'omit') headers.set('cookie', sent);
    const held = this.held && String(input).endsWith(this.held.path) ? this.held : undefined;
    if (held) this.held = undefined;
    const response = await fetch(input, { ...init, headers });
    await held?.released;
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (/max-age=0(;|$)/i.test(cookie)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return response;
  };
}

export interface TabOptions extends Partial<Omit<ClientOptions, 'fetch' | 'time'>> {
  transport: 'cookie' | 'bearer';
  /** Shares this tab's jar and storage. */
  beside?: Tab;
  /** Wraps the client's `fetch`. */
  via?: (send: Fetch) => Fetch;
}

/** A client as an app creates it, in one tab or process. The test controls time and chance. */
export class Tab {
  readonly time = new TestTime();
  readonly client: Client;
  /** The events that the app has received, in order. */
  readonly told: SessionEnded[] = [];
  readonly storage: TokenStorage;
  readonly jar: Jar;
  /** Of the session that `loggedIn` has started. */
  sessionId = '';

  constructor(server: Pick<TestServer, 'url'>, { beside, via = (send) => send, ...options }: TabOptions) {
    this.jar = beside?.jar ?? new Jar();
    this.storage = options.storage ?? beside?.storage ?? memoryStorage();
    const send: Fetch = (input, init) => fetch(input, init);
    this.client = createClient({
      baseUrl: server.url,
      channel: options.transport === 'cookie' ? this.jar.channel() : null,
      random: () => 0.5,
      onSessionEnded: (ended) => void this.told.push(ended),
      ...options,
      fetch: via(options.transport === 'cookie' ? this.jar.fetch : send),
      time: this.time,
      storage: this.storage,
    });
  }

  async status(path: string, init?: RequestInit): Promise<number> {
    return (await this.client.fetch(path, init)).status;
  }

  get tokens(): Tokens {
    return (this.storage.get() ?? {}) as Tokens;
  }

  /** Both tiers accept it, and no end of session has been reported. */
  async expectAlive(): Promise<void> {
    expect([await this.status(FLAGS), await this.status(SESSION)]).toEqual([200, 200]);
    expect(this.client.ended).toBeNull();
    expect(this.told).toEqual([]);
  }
}

export async function loggedIn(
  server: Pick<TestServer, 'url'>,
  options: TabOptions,
  { email }: { email: string } = ALICE,
): Promise<Tab> {
  const tab = new Tab(server, options);
  const login = await tab.client.login({ email, password: PASSWORD });
  if (!('session' in login)) throw new Error(`${email} has a second factor`);
  tab.sessionId = login.session.id;
  return tab;
}
