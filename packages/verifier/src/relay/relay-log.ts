import type { ServerEvent } from '../feed/event-stream.js';

/** As many as an instance of the application keeps. */
const MAX_KEPT_EVENTS = 20_000;
const CURSOR = /^([\w-]{1,64})\.(0|[1-9]\d{0,14})$/;

export interface RelayClient {
  send(frame: string): void;
  end(): void;
}

/** The events that a relay has received, in the bytes of the application, and the clients that follow them. */
export class RelayLog {
  private instance = '';
  private position = 0;
  private frames: { position: number; text: string }[] = [];
  private readonly clients = new Map<RelayClient, number>();

  get clientCount(): number {
    return this.clients.size;
  }

  /** Whether a cursor is of the instance that the relay follows. */
  isOf(cursor: string): boolean {
    return read(cursor)?.instance === this.instance;
  }

  /** Continues from a snapshot. Clients of another instance, or behind a gap, have to list again. */
  restart(cursor: string): void {
    const { instance, position } = read(cursor)!;
    if (instance === this.instance && position === this.position) return;
    this.instance = instance;
    this.position = position;
    this.frames = [];
    for (const client of this.clients.keys()) this.dismiss(client);
    this.clients.clear();
  }

  publish(event: ServerEvent): void {
    const text = frameOf(event);
    if (event.type === 'revocation') {
      this.position += 1;
      this.frames.push({ position: this.position, text });
      if (this.frames.length > 2 * MAX_KEPT_EVENTS) this.frames.splice(0, MAX_KEPT_EVENTS);
    }
    // A client may have a snapshot that is newer than this event. A heartbeat at its cursor is news to it.
    const newest = event.type === 'revocation' ? this.position - 1 : this.position;
    for (const [client, after] of this.clients) if (newest >= after) client.send(text);
  }

  /**
   * Sends a client the events after its cursor, and then each new one. A snapshot may be a little newer than the relay's
   * own position: the client then gets the events after its cursor when they come.
   */
  join(client: RelayClient, cursor: string | undefined): void {
    const after = cursor === undefined ? { instance: this.instance, position: this.position } : read(cursor);
    const oldest = this.frames[0]?.position ?? this.position + 1;
    if (after?.instance !== this.instance || after.position < oldest - 1) return this.dismiss(client);
    for (const { position, text } of this.frames) if (position > after.position) client.send(text);
    this.clients.set(client, after.position);
  }

  leave(client: RelayClient): void {
    this.clients.delete(client);
  }

  private dismiss(client: RelayClient): void {
    client.send(frameOf({ type: 'list_again', id: '', data: '{}' }));
    client.end();
  }
}

function frameOf({ type, id, data }: ServerEvent): string {
  return `event: ${type}\nid: ${id}\ndata: ${data}\n\n`;
}

function read(cursor: string): { instance: string; position: number } | undefined {
  const [, instance, position] = CURSOR.exec(cursor) ?? [];
  return instance === undefined ? undefined : { instance, position: Number(position) };
}
