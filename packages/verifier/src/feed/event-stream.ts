/** One server-sent event. */
export interface ServerEvent {
  type: string;
  id: string;
  data: string;
}

/** A revocation has about 300 characters; one that ends all credentials of a user may have more. */
const MAX_EVENT_CHARACTERS = 1_048_576;

/**
 * Reads server-sent events from bytes (WHATWG HTML 9.2.6). Lines end with LF: the application writes no other ends.
 *
 * @throws Error for an event that is too long
 */
export class EventStreamParser {
  private readonly utf8 = new TextDecoder('utf-8', { fatal: true });
  private rest = '';
  private event: ServerEvent = { type: '', id: '', data: '' };

  /** The events that are complete with these bytes. */
  push(bytes: Uint8Array): ServerEvent[] {
    const lines = (this.rest + this.utf8.decode(bytes, { stream: true })).split('\n');
    this.rest = lines.pop()!;
    if (this.rest.length + this.event.data.length > MAX_EVENT_CHARACTERS)
      throw new Error('an event of the feed is too long');
    return lines.flatMap((line) => this.take(line));
  }

  private take(line: string): ServerEvent[] {
    if (line === '') {
      const { event } = this;
      this.event = { type: '', id: '', data: '' };
      return event.type === '' ? [] : [event];
    }
    const [, name, value = ''] = /^(\w*):? ?(.*)$/.exec(line) ?? [];
    if (name === 'event') this.event.type = value;
    else if (name === 'id') this.event.id = value;
    else if (name === 'data') this.event.data += this.event.data === '' ? value : `\n${value}`;
    return [];
  }
}
