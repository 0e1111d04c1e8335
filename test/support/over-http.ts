import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Client } from './client.js';

interface Request {
  method: string;
  url: string;
  headers: Record<string, string>;
  payload?: string;
}

/**
 * The server of a {@link Client}, at the end of a socket: an instance in a process of its own, or behind a network
 * that fails.
 */
export function overHttp(url: string): { app: NestFastifyApplication; client(): Client } {
  const inject = async ({ method, url: path, headers, payload }: Request) => {
    const response = await fetch(new URL(path, url), { method, headers, body: payload });
    const body = await response.text();
    return {
      statusCode: response.status,
      headers: { ...Object.fromEntries(response.headers), 'set-cookie': response.headers.getSetCookie() },
      body,
      json: () => JSON.parse(body) as unknown,
    };
  };
  const app = { inject } as unknown as NestFastifyApplication;
  return { app, client: () => new Client(app) };
}
