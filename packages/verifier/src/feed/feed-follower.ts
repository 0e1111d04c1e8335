import { pause, type Time } from '../time.js';
import { EventStreamParser, type ServerEvent } from './event-stream.js';
import { BLIND_AFTER_MS, type FeedState } from './feed-state.js';

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;
const LOOK_INTERVAL_MS = 1_000;
/** A snapshot with a million entries has about 250 MB. */
const MAX_SNAPSHOT_CHARACTERS = 300_000_000;
const SNAPSHOT_TIMEOUT_MS = 30_000;

export interface FeedFollowerOptions {
  /** Base addresses of the application or of relays. The next one is tried when one fails. */
  urls: readonly string[];
  apiKey: string;
  state: FeedState;
  fetch: typeof globalThis.fetch;
  time: Time;
  random: () => number;
  /** Called after each accepted part, for those who wait for a revocation. */
  onProgress: () => void;
  /** Called with each snapshot and each event, after it was accepted. */
  onSnapshot?: (text: string, url: string) => void;
  onEvent?: (event: ServerEvent) => void;
  /** Called once when the feed is interrupted, with the reason, and once when it has resumed. */
  onInterruption: (reason: string | null) => void;
}

/**
 * Follows the feed: reads the list, then the events after it, and begins again after a gap. Until there is a new list,
 * the old one stays in force.
 */
export class FeedFollower {
  private readonly stopping = new AbortController();
  private needsList = true;
  private turn = 0;
  private failures = 0;
  private isInterrupted = false;
  private cancelLook = () => undefined as void;

  constructor(private readonly options: FeedFollowerOptions) {}

  /** Follows until {@link stop}. */
  async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const { urls, time, random } = this.options;
      const url = urls[this.turn % urls.length]!;
      const reason = await this.follow(url).catch((error: unknown) => reasonOf(error));
      if (signal.aborted) return;
      this.interrupt(reason);
      this.turn += 1;
      const longest = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.failures++);
      await pause(time, longest * (0.5 + random() / 2), signal);
    }
  }

  stop(): void {
    this.stopping.abort();
  }

  /** @returns why it has ended */
  private async follow(url: string): Promise<string> {
    const { state } = this.options;
    if (this.needsList || !state.isListed) {
      const fault = await this.list(url);
      if (fault) return fault;
    }
    const response = await this.get(`${url}/v1/revocations/stream`, { 'last-event-id': state.cursor });
    const stop = this.watch(response.abort);
    try {
      return await this.read(response.body);
    } finally {
      stop();
      response.abort();
    }
  }

  private async list(url: string): Promise<string | null> {
    const { state, onSnapshot, onProgress, time } = this.options;
    const { body, abort } = await this.get(`${url}/v1/revocations/snapshot`);
    const cancel = time.after(SNAPSHOT_TIMEOUT_MS, abort);
    try {
      const text = await textOf(body);
      const fault = await state.takeSnapshot(text);
      if (fault) return fault;
      this.needsList = false;
      onSnapshot?.(text, url);
      onProgress();
      return null;
    } finally {
      cancel();
      abort();
    }
  }

  private async read(body: AsyncIterable<Uint8Array>): Promise<string> {
    const { state, onEvent, onProgress } = this.options;
    const parser = new EventStreamParser();
    for await (const bytes of body) {
      for (const event of parser.push(bytes)) {
        const fault = await state.take(event);
        onProgress();
        if (fault) {
          this.needsList = true;
          return fault;
        }
        if (event.type === 'heartbeat' && !state.isBlind()) this.resume();
        onEvent?.(event);
      }
    }
    return 'the stream has ended';
  }

  /** Gives a connection up that no longer proves that the list is complete: another one may. */
  private watch(abort: () => void): () => void {
    const { state } = this.options;
    const look = () => {
      if (!state.isBlind()) return this.lookLater(LOOK_INTERVAL_MS, look);
      this.needsList = true;
      abort();
    };
    // A new connection has the time of a blind verifier to prove it.
    this.lookLater(BLIND_AFTER_MS, look);
    return () => this.cancelLook();
  }

  private lookLater(ms: number, look: () => void): void {
    this.cancelLook = this.options.time.after(ms, look);
  }

  private async get(url: string, headers: Record<string, string> = {}) {
    const { fetch, apiKey, time } = this.options;
    const aborting = new AbortController();
    const abort = () => aborting.abort(new Error('no answer in time'));
    this.stopping.signal.addEventListener('abort', abort, { once: true });
    const cancel = time.after(BLIND_AFTER_MS, abort);
    try {
      const response = await fetch(url, {
        headers: { 'x-api-key': apiKey, ...headers },
        signal: aborting.signal,
        redirect: 'error',
      });
      if (!response.ok || !response.body) throw new Error(`${url} answers ${response.status}`);
      return { body: response.body as AsyncIterable<Uint8Array>, abort: this.released(abort) };
    } catch (error) {
      this.released(abort)();
      throw error;
    } finally {
      cancel();
    }
  }

  private released(abort: () => void): () => void {
    return () => {
      this.stopping.signal.removeEventListener('abort', abort);
      abort();
    };
  }

  private interrupt(reason: string): void {
    if (!this.isInterrupted) this.options.onInterruption(reason);
    this.isInterrupted = true;
  }

  private resume(): void {
    this.failures = 0;
    if (this.isInterrupted) this.options.onInterruption(null);
    this.isInterrupted = false;
  }
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  for await (const bytes of body) {
    text += utf8.decode(bytes, { stream: true });
    if (text.length > MAX_SNAPSHOT_CHARACTERS) throw new Error('the snapshot is too long');
  }
  return text + utf8.decode();
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string; code?: string } };
  return [message ?? String(error), cause?.code ?? cause?.message].filter(Boolean).join(': ');
}
