import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal } from '../refusal.js';
import { systemTime } from '../time.js';
import type { VerifierOptions } from '../options.js';
import { Verifier } from '../verifier.js';
import { RelayLog } from './relay-log.js';

export interface RelayOptions extends Omit<VerifierOptions, 'taps' | 'whenBlind'> {
  /** The keys that verifiers present to this relay in `X-API-Key`. They are no keys of the application. */
  keys: readonly string[];
}

/** A snapshot is sent to all verifiers that ask within this time. */
const SNAPSHOT_AGE_MS = 1_000;
const SNAPSHOT_TIMEOUT_MS = 30_000;
/** A client that reads more slowly than the feed is cut off, and resumes by its cursor. */
const MAX_WAITING_BYTES = 4 * 1_024 * 1_024;
const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
};

/** Starts to follow the feed, to pass it on. Give {@link Relay.handle} to an HTTP server. */
export function createRelay(options: RelayOptions): Relay {
  return new Relay(options);
}

/**
 * Passes the feed on to any number of verifiers, from one connection to the application. The statements stay signed by the
 * application, so a relay can neither invent nor hide a revocation for longer than a verifier needs to count as blind.
 */
export class Relay {
  readonly verifier: Verifier;
  private readonly log = new RelayLog();
  private readonly digests: Buffer[];
  private source = '';
  private snapshot: { text: Promise<string>; askedAt: number } | null = null;

  constructor(private readonly options: RelayOptions) {
    this.digests = options.keys.map(digestOf);
    this.verifier = new Verifier({
      ...options,
      whenBlind: 'deny',
      taps: {
        onSnapshot: (text, url) => {
          this.source = url;
          this.log.restart(cursorIn(text));
        },
        onEvent: (event) => this.log.publish(event),
      },
    });
  }

  /** The verifiers that follow this relay now. */
  get clientCount(): number {
    return this.log.clientCount;
  }

  /** Answers `GET /v1/revocations/snapshot` and `GET /v1/revocations/stream` as the application does. */
  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    this.route(request, response).catch((error: unknown) => {
      const refusal = error instanceof Refusal ? error : new Refusal('auth.unavailable');
      if (response.headersSent) return void response.destroy();
      response.writeHead(refusal.status, refusal.headers).end(JSON.stringify(refusal.body()));
    });
  };

  close(): void {
    this.verifier.close();
  }

  private async route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url!, 'http://relay');
    if (request.method !== 'GET' || !/^\/v1\/revocations\/(snapshot|stream)$/.test(pathname))
      return void response.writeHead(404).end();
    this.requireKey(request.headers['x-api-key']);
    if (this.verifier.status !== 'current') throw new Refusal('auth.unavailable');
    if (pathname.endsWith('/stream')) {
      const cursor = request.headers['last-event-id'] ?? searchParams.get('after') ?? undefined;
      return this.stream(response, cursor as string | undefined);
    }
    const text = await this.freshSnapshot();
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(text);
  }

  private stream(response: ServerResponse, cursor: string | undefined): void {
    response.writeHead(200, STREAM_HEADERS).flushHeaders();
    const client = {
      send(frame: string) {
        if (response.writableLength > MAX_WAITING_BYTES) response.destroy();
        else response.write(frame);
      },
      end: () => void response.end(),
    };
    response.on('close', () => this.log.leave(client));
    this.log.join(client, cursor);
  }

  /** The application's own snapshot: only it can sign one. */
  private freshSnapshot(): Promise<string> {
    const now = (this.options.time ?? systemTime).monotonic();
    if (this.snapshot && now - this.snapshot.askedAt < SNAPSHOT_AGE_MS) return this.snapshot.text;
    const made = { text: this.fetchSnapshot(), askedAt: now };
    this.snapshot = made;
    made.text.catch(() => this.snapshot === made && (this.snapshot = null));
    return made.text;
  }

  private async fetchSnapshot(): Promise<string> {
    const { fetch = globalThis.fetch, apiKey } = this.options;
    const response = await fetch(`${this.source}/v1/revocations/snapshot`, {
      headers: { 'x-api-key': apiKey },
      signal: AbortSignal.timeout(SNAPSHOT_TIMEOUT_MS),
      redirect: 'error',
    });
    const text = await response.text();
    // Behind a load balancer, another instance may have answered. Its cursor would not fit the stream.
    if (!response.ok || !this.log.isOf(cursorIn(text))) throw new Refusal('auth.unavailable');
    return text;
  }

  private requireKey(key: string | string[] | undefined): void {
    if (typeof key !== 'string') throw new Refusal('auth.unauthenticated');
    const digest = digestOf(key);
    if (!this.digests.some((known) => timingSafeEqual(known, digest))) throw new Refusal('auth.invalid_key');
  }
}

const digestOf = (text: string) => createHash('sha256').update(text).digest();

/** The cursor of a snapshot, without parsing its entries. */
function cursorIn(text: string): string {
  return /^\{"cursor":"([^"]+)"/.exec(text)?.[1] ?? '';
}
