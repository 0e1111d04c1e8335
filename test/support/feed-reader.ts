import { eventually } from './waiting.js';

export interface FeedEvent {
  type: string;
  id: string;
  data: string;
}

/** An HTTP client that reads the server-sent events of one response, as they arrive. */
export class FeedReader {
  readonly events: FeedEvent[] = [];
  hasEnded = false;
  private readonly abort = new AbortController();

  private constructor(readonly status: number) {}

  static async open(url: string, headers: Record<string, string>): Promise<FeedReader> {
    const abort = new AbortController();
    const response = await fetch(url, { headers, signal: abort.signal });
    const reader = new FeedReader(response.status);
    reader.abort.signal.addEventListener('abort', () => abort.abort());
    void reader.read(response.body!).catch(() => (reader.hasEnded = true));
    return reader;
  }

  /** The events of one type. */
  of(type: string): FeedEvent[] {
    return this.events.filter((event) => event.type === type);
  }

  /** Resolves with the events of one type when there are at least so many. */
  until(type: string, count = 1): Promise<FeedEvent[]> {
    return eventually(() => {
      const found = this.of(type);
      if (found.length < count) throw new Error(`${found.length} of ${count} events of type ${type}`);
      return found;
    });
  }

  close(): void {
    this.abort.abort();
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    let text = '';
    const utf8 = new TextDecoder();
    for await (const chunk of body) {
      text += utf8.decode(chunk, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop()!;
      for (const block of blocks.filter((block) => block.includes('data:'))) this.events.push(eventIn(block));
    }
    this.hasEnded = true;
  }
}

function eventIn(block: string): FeedEvent {
  const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1] ?? '';
  return { type: field('event'), id: field('id'), data: field('data') };
}
