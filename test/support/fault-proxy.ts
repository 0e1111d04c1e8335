import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The fate of the connection of the next request with a text: before it arrives, or after it took effect. */
interface Trap {
  text: string;
  when: 'before' | 'after';
  fate: 'reset' | 'hold';
  happened: () => void;
}

/** A proxy between one client and one server that injects faults on demand: the network of a single instance. */
export class FaultProxy {
  private readonly pairs = new Set<{ client: Socket; upstream: Socket }>();
  private mode: 'open' | 'cut' | 'stalled' = 'open';
  private delayMs = 0;
  private trap: Trap | null = null;

  private constructor(
    private readonly server: Server,
    private target: URL,
  ) {}

  static async before(target: string): Promise<FaultProxy> {
    const server = createServer();
    const proxy = new FaultProxy(server, new URL(target));
    server.on('connection', (client) => proxy.join(client));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  /** The target's URL, by way of this proxy. */
  get url(): string {
    const { port } = this.server.address() as AddressInfo;
    return Object.assign(new URL(this.target), { hostname: '127.0.0.1', port: String(port) }).href;
  }

  /** New connections go to another target; existing ones keep theirs. */
  retarget(url: string): void {
    this.target = new URL(url);
  }

  /** Every connection is reset, and new ones are too, until `heal()`. */
  cut(): void {
    this.mode = 'cut';
    this.resetAll();
  }

  /** Connections stay open, but no bytes pass: a machine that hangs, a network that drops everything. */
  stall(): void {
    this.mode = 'stalled';
    for (const { client, upstream } of this.pairs) {
      client.pause();
      upstream.pause();
    }
  }

  heal(): void {
    this.mode = 'open';
    this.delayMs = 0;
    for (const { client, upstream } of this.pairs) {
      client.resume();
      upstream.resume();
    }
  }

  /** Adds so much latency, each way. */
  delay(ms: number): void {
    this.delayMs = ms;
  }

  /**
   * The next request with this text arrives at the server and takes effect, but its answer does not come
   * back: the connection is reset instead. Resolves when that has happened.
   */
  loseAnswerTo(text: string): Promise<void> {
    return this.lay({ text, when: 'after', fate: 'reset' });
  }

  /** The next request with this text never arrives: the connection is reset instead. */
  loseRequest(text: string): Promise<void> {
    return this.lay({ text, when: 'before', fate: 'reset' });
  }

  /** Stops the next request with this text, or the answer to it, and everything after it on its connection. */
  holdAt(text: string, when: Trap['when']): Promise<void> {
    return this.lay({ text, when, fate: 'hold' });
  }

  async close(): Promise<void> {
    this.resetAll();
    this.server.close();
    await once(this.server, 'close');
  }

  private join(client: Socket): void {
    client.on('error', () => undefined);
    if (this.mode === 'cut') return void client.resetAndDestroy();
    const upstream = connect(Number(this.target.port), this.target.hostname).on('error', () =>
      client.destroy(),
    );
    const pair = { client, upstream };
    this.pairs.add(pair);
    const part = () => {
      this.pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    client.on('close', part);
    upstream.on('close', part);
    let caught: Trap | null = null;
    let held = false;
    const spring = ({ fate, happened }: Trap) => {
      if (fate === 'hold') held = true;
      else client.resetAndDestroy();
      happened();
    };
    client.on('data', (chunk) => {
      if (held) return;
      if (this.trap && chunk.includes(this.trap.text)) {
        [caught, this.trap] = [this.trap, null];
        if (caught.when === 'before') return spring(caught);
      }
      this.pass(chunk, upstream);
    });
    upstream.on('data', (chunk) => {
      if (held) return;
      if (caught) return spring(caught);
      this.pass(chunk, client);
    });
    if (this.mode === 'stalled') {
      client.pause();
      upstream.pause();
    }
  }

  private lay(trap: Omit<Trap, 'happened'>): Promise<void> {
    return new Promise((happened) => (this.trap = { ...trap, happened }));
  }

  private pass(chunk: Buffer, to: Socket): void {
    if (this.delayMs === 0) to.write(chunk);
    else setTimeout(() => to.writable && to.write(chunk), this.delayMs);
  }

  private resetAll(): void {
    for (const { client, upstream } of this.pairs) {
      client.resetAndDestroy();
      upstream.destroy();
    }
  }
}
