import type { Time } from './time.js';

/** An event of a stream (WHATWG HTML, server-sent events). */
export interface ServerEvent {
  /** `message` if the server gives no other. */
  type: string;
  data: string;
  /** The last id that the server has sent; empty if none. */
  id: string;
}

/**
 * Reads the events of a response until it ends. A connection that breaks, or that is silent for too long, is an end.
 *
 * @param maxSilence milliseconds
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  maxSilence: number,
  time: Time,
): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  try {
    for (;;) {
      const cancel = time.after(maxSilence, () => void reader.cancel().catch(() => undefined));
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      cancel();
      if (done) return;
      yield* parser.take(decoder.decode(value, { stream: true }));
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

class EventParser {
  private rest = '';
  private id = '';
  private type = '';
  private data: string[] = [];

  take(text: string): ServerEvent[] {
    // A CR at the end may be the first half of a CRLF.
    const [, complete = '', rest = ''] = /^([\s\S]*(?:\r\n|\n|\r(?!$)))?([\s\S]*)$/.exec(this.rest + text)!;
    this.rest = rest;
    const lines = complete.split(/\r\n|\n|\r/);
    lines.pop();
    return lines.flatMap((line) => this.line(line));
  }

  private line(line: string): ServerEvent[] {
    if (line === '') return this.dispatch();
    const [name, value = ''] = line.startsWith(':')
      ? ['']
      : (line.split(/: ?([\s\S]*)/) as [string, string?]);
    if (name === 'data') this.data.push(value);
    if (name === 'event') this.type = value;
    if (name === 'id' && !value.includes('\0')) this.id = value;
    return [];
  }

  private dispatch(): ServerEvent[] {
    const { type, data, id } = this;
    this.type = '';
    this.data = [];
    return data.length === 0 ? [] : [{ type: type || 'message', data: data.join('\n'), id }];
  }
}
