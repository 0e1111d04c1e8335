import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Readable } from 'node:stream';
import { text as buffered } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';

type InjectOptions = Exclude<Parameters<NestFastifyApplication['inject']>[0], string | undefined>;
type Method = NonNullable<InjectOptions['method']>;

export interface Answer {
  status: number;
  // Answers have every shape; the assertions of a test decide on the fields.
  body: any;
  text: string;
  headers: Record<string, string | string[] | undefined>;
  /** The `Set-Cookie` headers as they were sent. */
  setCookies: string[];
}

export interface RequestOptions {
  body?: unknown;
  headers?: Record<string, string | string[]>;
}

/**
 * A browser, which keeps cookies, or a native client, which keeps its tokens, over the whole HTTP stack except the
 * socket.
 */
export class Client {
  readonly jar = new Map<string, string>();
  /** Of the bearer transport; sent when set. */
  accessToken?: string;
  refreshToken?: string;
  deviceToken?: string;
  /** Of a machine; sent when set. */
  apiKey?: string;
  /** Sent with every request: the name of the browser, or headers of a proxy in between. */
  headers: Record<string, string> = {};

  constructor(private app: NestFastifyApplication) {}

  /** The same client, connected to another instance. */
  at(instance: { app: NestFastifyApplication }): this {
    this.app = instance.app;
    return this;
  }

  /** A second client with the current tokens of this one: another tab, or a thief. */
  copy(): Client {
    const copy = new Client(this.app);
    for (const [name, value] of this.jar) copy.jar.set(name, value);
    return Object.assign(copy, {
      headers: { ...this.headers },
      accessToken: this.accessToken,
      refreshToken: this.refreshToken,
      deviceToken: this.deviceToken,
      apiKey: this.apiKey,
    });
  }

  get = (path: string, options?: RequestOptions) => this.request('GET', path, options);
  post = (path: string, body?: unknown, options?: RequestOptions) =>
    this.request('POST', path, { ...options, body });
  put = (path: string, body?: unknown) => this.request('PUT', path, { body });
  patch = (path: string, body?: unknown) => this.request('PATCH', path, { body });
  delete = (path: string, options?: RequestOptions) => this.request('DELETE', path, options);

  async request(method: Method, url: string, { body, headers = {} }: RequestOptions = {}): Promise<Answer> {
    const answer = await injected(this.app, {
      method,
      url,
      headers: {
        ...this.credentials(),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...this.headers,
        ...headers,
      },
      ...(body !== undefined && { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    this.keep(answer.setCookies);
    return answer;
  }

  /** The headers with its credentials. */
  credentials(): Record<string, string> {
    return {
      ...(this.jar.size > 0 && {
        cookie: [...this.jar].map(([name, value]) => `${name}=${value}`).join('; '),
      }),
      ...(this.accessToken && { authorization: `Bearer ${this.accessToken}` }),
      ...(this.apiKey && { 'x-api-key': this.apiKey }),
    };
  }

  /** Logs in and keeps the tokens. */
  async login(email: string, password: string, extra: Record<string, unknown> = {}): Promise<Answer> {
    const headers: Record<string, string> = this.deviceToken ? { 'x-device-token': this.deviceToken } : {};
    return this.take(
      await this.request('POST', '/v1/auth/login', { body: { email, password, ...extra }, headers }),
    );
  }

  /** Refreshes on its transport, with its device token, and keeps the tokens. */
  async refresh(): Promise<Answer> {
    if (!this.refreshToken) return this.request('POST', '/v1/auth/refresh');
    const headers: Record<string, string> = this.deviceToken ? { 'x-device-token': this.deviceToken } : {};
    const { accessToken } = this;
    this.accessToken = undefined;
    const answer = await this.request('POST', '/v1/auth/refresh', {
      body: { refreshToken: this.refreshToken },
      headers,
    });
    this.accessToken = accessToken;
    return this.take(answer);
  }

  /** Reauthenticates and keeps the tokens. */
  async reauthenticate(proof: object): Promise<Answer> {
    const headers: Record<string, string> = this.deviceToken ? { 'x-device-token': this.deviceToken } : {};
    return this.take(await this.post('/v1/auth/reauthenticate', proof, { headers }));
  }

  /** A payment with a key of its own. */
  pay(key: string, amount = 100): Promise<Answer> {
    return this.post(
      '/v1/probe/payments',
      { amount, currency: 'EUR', recipient: 'Bob' },
      { headers: { 'idempotency-key': key } },
    );
  }

  private take(answer: Answer): Answer {
    if (answer.status !== 200) return answer;
    this.accessToken = answer.body.accessToken ?? this.accessToken;
    this.refreshToken = answer.body.refreshToken ?? this.refreshToken;
    this.deviceToken = answer.body.deviceToken ?? this.deviceToken;
    return answer;
  }

  private keep(setCookies: string[]): void {
    for (const cookie of setCookies) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (!name) continue;
      if (/max-age=0(;|$)/i.test(cookie)) this.jar.delete(name);
      else this.jar.set(name, value ?? '');
    }
  }
}

/** The answer to a request over the whole HTTP stack except the socket. */
export async function injected(
  app: Pick<NestFastifyApplication, 'inject'>,
  request: InjectOptions,
): Promise<Answer> {
  const isRead = request.method === 'GET';
  const response = await app.inject({ ...request, payloadAsStream: isRead });
  const type = String(response.headers['content-type']);
  // `overHttp` has no streams.
  const isStream = isRead && 'stream' in response;
  const text = isStream ? await bodyOf(response.stream(), type) : response.body;
  // An event stream does not end by itself: its client leaves it. The socket is a mock that never closes.
  if (isStream && /event-stream/.test(type)) response.raw.res.req.socket.emit('close');
  return {
    status: response.statusCode,
    body: text !== '' && /json/.test(type) ? JSON.parse(text) : undefined,
    text,
    headers: response.headers as Answer['headers'],
    setCookies: [response.headers['set-cookie'] ?? []].flat(),
  };
}

async function bodyOf(response: Readable, type: string): Promise<string> {
  if (/event-stream/.test(type)) response.destroy();
  const text = response.destroyed ? '' : await buffered(response);
  await setImmediate(); // the hooks after the response run, such as the one that logs it
  return text;
}
