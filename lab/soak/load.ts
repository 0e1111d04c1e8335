import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PASSWORD, type Fleet } from './fleet.js';
import type { HttpsClient, Reply } from './https-client.js';
import { Outages, type Failure } from './outages.js';

/** A client that a failure reaches tries again after this many ms. */
const RETRY_MS = 500;
/** In ms. Of each user: an access token lives for 15 minutes. */
const REFRESH_INTERVAL_MS = 5_000;

interface Tokens {
  accessToken: string;
  refreshToken: string;
  deviceToken: string;
}

interface Options {
  users?: number;
  /** The pause of a user between two requests, in ms. */
  pause?: number;
}

/**
 * Mixed load of users who read, pay, refresh, follow an event stream and hold a WebSocket. No client repeats a request by
 * itself: after a failure, which is counted, the user sends the same payment again with the same key.
 */
export class Load {
  readonly outages = new Outages();
  readonly counts: Record<string, number> = {};
  /** The keys of payments that were answered with 201. */
  readonly paid = new Set<string>();
  /** The keys of all payments that were sent. */
  readonly sent = new Set<string>();
  emails: string[] = [];
  private isOver = false;
  private readonly closers = new Set<() => void>();
  private readonly tasks: Promise<void>[] = [];

  private constructor(
    private readonly client: HttpsClient,
    private readonly pause: number,
  ) {}

  static async start(fleet: Fleet, client: HttpsClient, { users = 8, pause = 20 }: Options = {}) {
    const load = new Load(client, pause);
    load.emails = await fleet.addUsers(users);
    for (const email of load.emails) {
      const tokens = await load.login(email);
      load.tasks.push(load.act(tokens), load.followEvents(tokens), load.chat(tokens), load.paySlowly(tokens));
    }
    return load;
  }

  /** Failed requests and connections outside outages. */
  get failures(): Failure[] {
    return this.outages.unexpected;
  }

  async stop(): Promise<void> {
    this.isOver = true;
    for (const close of this.closers) close();
    await Promise.all(this.tasks);
    this.client.close();
  }

  private async login(email: string): Promise<Tokens> {
    const login = { email, password: PASSWORD, transport: 'bearer' };
    const { status, body } = await this.client.send('POST', '/v1/auth/login', {}, login);
    if (status !== 200) throw new Error(`the login failed: ${status} ${JSON.stringify(body)}`);
    return body as Tokens;
  }

  private async act(tokens: Tokens): Promise<void> {
    let refreshedAt = performance.now();
    while (!this.isOver) {
      await this.read('/v1/users/me', tokens);
      await this.read('/v1/sessions/current', tokens);
      await this.pay(tokens);
      await this.read('/v1/auth/whoami', tokens);
      if (performance.now() - refreshedAt < REFRESH_INTERVAL_MS) continue;
      await this.refresh(tokens);
      refreshedAt = performance.now();
    }
  }

  private read(path: string, tokens: Tokens): Promise<unknown> {
    return this.count(`GET ${path}`, 200, () => this.client.send('GET', path, bearer(tokens)));
  }

  private async pay(tokens: Tokens): Promise<void> {
    await this.payWith('POST /v1/payments', (headers, body) =>
      this.client.send('POST', '/v1/payments', { ...bearer(tokens), ...headers }, body),
    );
  }

  private async payWith(
    name: string,
    send: (headers: Record<string, string>, body: object) => Promise<Pick<Reply, 'status'>>,
  ): Promise<void> {
    const key = randomUUID();
    const body = { amount: 100 + (this.sent.size % 900), currency: 'EUR', recipient: 'Bob' };
    this.sent.add(key);
    do {
      const reply = await this.count(name, 201, () => send({ 'idempotency-key': key }, body));
      if (reply) return void this.paid.add(key);
    } while (!this.isOver);
  }

  private async refresh(tokens: Tokens): Promise<void> {
    const headers = { 'x-device-token': tokens.deviceToken };
    const body = { refreshToken: tokens.refreshToken };
    const reply = await this.count('POST /v1/auth/refresh', 200, () =>
      this.client.send('POST', '/v1/auth/refresh', headers, body),
    );
    if (reply) Object.assign(tokens, reply.body);
  }

  private async paySlowly(tokens: Tokens): Promise<void> {
    while (!this.isOver) {
      await this.payWith('POST /v1/payments, slowly', async (headers, body) => ({
        status: await this.client.sendSlowly('/v1/payments', { ...bearer(tokens), ...headers }, body),
      }));
    }
  }

  private async followEvents(tokens: Tokens): Promise<void> {
    while (!this.isOver) {
      const began = performance.now();
      let opened = false;
      const end = await this.client.follow('/v1/notifications', bearer(tokens), (close) => {
        opened = true;
        this.closers.add(close);
      });
      if (this.isOver) return;
      this.add('event stream');
      if (opened && end.isClean) continue;
      this.outages.fail('event stream', began, `${end.status} ${opened ? 'cut' : end.text.slice(0, 200)}`);
      await sleep(RETRY_MS);
    }
  }

  /** A clean end has a close code of the server. 1006 means that the connection was cut. */
  private async chat(tokens: Tokens): Promise<void> {
    while (!this.isOver) {
      const began = performance.now();
      const socket = this.client.socket('/v1/chat', bearer(tokens));
      let problem = '';
      socket.on('error', (error) => (problem = error.message));
      socket.on('open', () => this.closers.add(() => socket.close()));
      const code = await new Promise<number>((resolve) => socket.on('close', resolve));
      if (this.isOver) return;
      this.add('WebSocket');
      if (code !== 1006) continue;
      this.outages.fail('WebSocket', began, problem || 'cut');
      await sleep(RETRY_MS);
    }
  }

  /** @returns null if the answer is not the expected one; then after a pause */
  private async count<R extends Pick<Reply, 'status'>>(
    name: string,
    expected: number,
    send: () => Promise<R>,
  ): Promise<R | null> {
    const began = performance.now();
    this.add(name);
    const reply = await send().catch((error: Error) => ({ status: 0, body: error.message }) as never as R);
    if (reply.status === expected) {
      await sleep(this.pause);
      return reply;
    }
    this.outages.fail(name, began, JSON.stringify(reply).slice(0, 300));
    await sleep(RETRY_MS);
    return null;
  }

  private add(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
}

const bearer = ({ accessToken }: Tokens) => ({ authorization: `Bearer ${accessToken}` });

/** Payments that were accepted and are not in the database exactly once, and rows of payments that were not sent. */
export async function wrongPayments(fleet: Fleet, { paid, sent, emails }: Load): Promise<string[]> {
  const { rows } = await fleet.database.query<{ key: string; count: number }>(
    `select idempotency_key as key, count(*)::int as count
     from payments p join users u on u.id = p.user_id where u.email = any($1) group by 1`,
    [emails],
  );
  const stored = new Map(rows.map(({ key, count }) => [key, count]));
  return [
    ...[...paid]
      .filter((key) => stored.get(key) !== 1)
      .map((key) => `${key} is there ${stored.get(key) ?? 0} times`),
    ...[...stored.keys()].filter((key) => !sent.has(key)).map((key) => `${key} was not sent`),
  ];
}
