import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

type Fate = 'loses its answer' | 'never arrives' | 'is never answered';

/**
 * Stands between one client and one server, and misbehaves on demand: the network of a single
 * instance, as seen from there.
 */
export class FaultProxy {
  private readonly pairs = new Set<{ client: Socket; upstream: Socket }>();
  private mode: 'open' | 'cut' | 'stalled' = 'open';
  private delayMs = 0;
  private plan: { text: string; fate: Fate; happened: () => void } | null = null;

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

  /** The target's URL, by way of here. */
  get url(): string {
    const { port } = this.server.address() as AddressInfo;
    return Object.assign(new URL(this.target), { hostname: '127.0.0.1', port: String(port) }).href;
  }

  /** New connections lead elsewhere; those that there are stay with whom they have. */
  retarget(url: string): void {
    this.target = new URL(url);
  }

  /** Every connection is reset, and new ones are too, until `heal()`. */
  cut(): void {
    this.mode = 'cut';
    this.resetAll();
  }

  /** Connections stay open and nothing passes: a machine that hangs, a network that swallows. */
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

  /** Everything takes so much longer, each way. */
  delay(ms: number): void {
    this.delayMs = ms;
  }

  /**
   * The next request with this text arrives at the server and takes effect, but its answer does not come
   * back: the connection is reset instead. Resolves when that has happened.
   */
  loseAnswerTo(text: string): Promise<void> {
    return this.next(text, 'loses its answer');
  }

  /**
   * The next request with this text is where everything stops, before it arrives or after it took effect: nothing
   * passes its connection any more. Resolves when it has come so far.
   */
  stopAt(text: string, where: 'before' | 'after'): Promise<void> {
    return this.next(text, where === 'before' ? 'never arrives' : 'is never answered');
  }

  private next(text: string, fate: Fate): Promise<void> {
    return new Promise((happened) => (this.plan = { text, fate, happened }));
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
    let struck: FaultProxy['plan'] = null;
    client.on('data', (chunk) => {
      if (this.plan && chunk.includes(this.plan.text)) {
        struck = this.plan;
        this.plan = null;
        if (struck.fate === 'never arrives') struck.happened();
      }
      if (struck?.fate !== 'never arrives') this.pass(chunk, upstream);
    });
    upstream.on('data', (chunk) => {
      if (!struck) return this.pass(chunk, client);
      if (struck.fate === 'loses its answer') client.resetAndDestroy();
      struck.happened();
    });
    if (this.mode === 'stalled') {
      client.pause();
      upstream.pause();
    }
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
