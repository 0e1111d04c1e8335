import { Agent, request } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { DOMAIN } from './proxies.js';

export interface Reply {
  status: number;
  // As in `Client`: the caller decides on the fields.
  body: any;
}

/** HTTPS to one proxy, over connections that stay open. It never sends a request twice. */
export class HttpsClient {
  private readonly agent: Agent;

  constructor(
    private readonly port: number,
    private readonly ca: string,
  ) {
    this.agent = new Agent({ keepAlive: true, ...this.target });
  }

  private get target() {
    return { host: '127.0.0.1', port: this.port, ca: this.ca, servername: DOMAIN };
  }

  /** @throws Error if the connection fails, or no answer comes within 30 s */
  send(method: string, path: string, headers: Record<string, string> = {}, body?: unknown): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const sent = request({
        ...this.target,
        agent: this.agent,
        method,
        path,
        headers: {
          host: DOMAIN,
          ...headers,
          ...(payload !== undefined && {
            'content-type': 'application/json',
            'content-length': String(Buffer.byteLength(payload)),
          }),
        },
      });
      sent.setTimeout(30_000, () => sent.destroy(new Error('no answer within 30 s')));
      sent.on('error', reject);
      sent.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => {
          const isJson = String(response.headers['content-type']).includes('json');
          resolve({ status: response.statusCode!, body: isJson && text ? JSON.parse(text) : text });
        });
      });
      sent.end(payload);
    });
  }

  /** A client on a slow network: it sends the request in small pieces, and reads the answer as slowly. */
  async sendSlowly(path: string, headers: Record<string, string>, body: unknown): Promise<number> {
    const payload = JSON.stringify(body);
    const lines = { host: DOMAIN, 'content-type': 'application/json', connection: 'close', ...headers };
    const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
    const text = `POST ${path} HTTP/1.1\r\n${head.join('')}content-length: ${payload.length}\r\n\r\n${payload}`;
    const socket: TLSSocket = connect(this.target);
    const failed = new Promise<never>((_, reject) => socket.on('error', reject));
    const sent = async () => {
      for (let at = 0; at < text.length; at += 64) {
        socket.write(text.slice(at, at + 64));
        await sleep(50);
      }
      let answer = '';
      for await (const chunk of socket) {
        answer += String(chunk);
        await sleep(50);
      }
      return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
    };
    return Promise.race([sent(), failed]).finally(() => socket.destroy());
  }

  /**
   * Follows an event stream until the server ends it.
   * @returns the status, and whether the stream ended with its last byte
   */
  follow(path: string, headers: Record<string, string>, onOpen: (close: () => void) => void) {
    return new Promise<{ status: number; isClean: boolean; text: string }>((resolve) => {
      const sent = request({ ...this.target, agent: false, path, headers: { host: DOMAIN, ...headers } });
      sent.on('error', (error) => resolve({ status: 0, isClean: false, text: error.message }));
      sent.on('response', (response) => {
        let text = '';
        response.on('data', (chunk) => (text += String(chunk)));
        response.on('error', () => undefined);
        response.on('close', () =>
          resolve({ status: response.statusCode!, isClean: response.complete, text }),
        );
        if (response.statusCode === 200) onOpen(() => sent.destroy());
      });
      sent.end();
    });
  }

  /** Opens a WebSocket. */
  socket(path: string, headers: Record<string, string>): WebSocket {
    const options = { ...this.target, headers: { host: DOMAIN, ...headers } };
    return new WebSocket(`wss://127.0.0.1:${this.port}${path}`, options);
  }

  close(): void {
    this.agent.destroy();
  }
}
