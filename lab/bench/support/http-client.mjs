import { Agent, request } from 'node:http';
import { USER_AGENT } from './request.mjs';

/** Keeps its connections; small and fast, so that it does not dominate a measurement. */
export class HttpClient {
  #agent = new Agent({ keepAlive: true, maxSockets: 256, noDelay: true });
  #url;

  /** @param {string} url */
  constructor(url) {
    this.#url = new URL(url);
  }

  get(path, token) {
    return this.request('GET', path, { token });
  }

  /** @returns {Promise<{ status: number, headers: object, body: any }>} rejects when the connection fails */
  request(method, path, { token, body } = {}) {
    return new Promise((resolve, reject) => {
      const payload = body && JSON.stringify(body);
      const outgoing = request(
        {
          agent: this.#agent,
          host: this.#url.hostname,
          port: this.#url.port,
          method,
          path,
          headers: {
            'user-agent': USER_AGENT,
            ...(token && { authorization: `Bearer ${token}` }),
            ...(payload && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(payload),
            }),
          },
        },
        (incoming) => {
          let text = '';
          incoming.setEncoding('utf8').on('data', (chunk) => (text += chunk));
          incoming.on('end', () =>
            resolve({
              status: incoming.statusCode,
              headers: incoming.headers,
              body: text ? JSON.parse(text) : undefined,
            }),
          );
          incoming.on('error', reject);
        },
      );
      outgoing.on('error', reject).end(payload);
    });
  }
}
