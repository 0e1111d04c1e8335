import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import type { TestApp } from './app.js';
import type { Client } from './client.js';
import { eventually } from './waiting.js';

/** Makes an instance of the tests listen on a free port. */
export async function listening(app: TestApp): Promise<TestApp> {
  await app.app.listen(0, '127.0.0.1');
  return app;
}

export const portOf = ({ app }: Pick<TestApp, 'app'>): number =>
  (app.getHttpServer().address() as AddressInfo).port;

/** An event of a stream, as a browser would get it. */
export interface StreamEvent {
  event: string;
  data: string;
  id?: string;
}

/** A client that reads a stream or a WebSocket. */
export interface OpenClient {
  status: number;
  /** The texts that have arrived, in order. */
  texts: string[];
  /** How the server ended it: the code and the reason of a problem, or undefined for a plain end. */
  end: { code?: string; reason?: string; close?: number } | null;
  /** Whether the connection is closed, by whichever side. */
  isClosed: boolean;
  close(): void;
}

type Options = { headers?: Record<string, string>; port?: number };

/** Opens an event stream, and resolves when its headers have arrived. */
export async function openStream(
  app: TestApp,
  path: string,
  client?: Client,
  { headers = {}, port = portOf(app) }: Options = {},
): Promise<OpenClient & { events: StreamEvent[]; response: IncomingMessage }> {
  const sent = request({ port, path, headers: { ...client?.credentials(), ...headers }, agent: false });
  sent.on('error', () => undefined);
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const stream = {
    status: response.statusCode!,
    texts: [] as string[],
    events: [] as StreamEvent[],
    end: null as OpenClient['end'],
    isClosed: false,
    response,
    close: () => sent.destroy(),
  };
  let rest = '';
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    const blocks = (rest + chunk).split('\n\n');
    rest = blocks.pop()!;
    for (const block of blocks) take(stream, block);
  });
  response.on('error', () => undefined);
  response.on('close', () => (stream.isClosed = true));
  return stream;
}

function take(
  stream: { texts: string[]; events: StreamEvent[]; end: OpenClient['end'] },
  block: string,
): void {
  const fields = Object.fromEntries(
    block
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
  ) as Partial<StreamEvent>;
  if (fields.data === undefined) return;
  const event = { event: 'message', ...fields } as StreamEvent;
  stream.events.push(event);
  if (event.event === 'session_ended') stream.end = JSON.parse(event.data);
  else stream.texts.push(event.data);
}

/** Opens a WebSocket. If the server refuses it, `status` and `end.code` are those of the answer. */
export async function openSocket(
  app: TestApp,
  path: string,
  client?: Client,
  { headers = {}, port = portOf(app) }: Options = {},
): Promise<OpenClient & { socket: WebSocket; messages: any[]; send(event: string, data?: unknown): void }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, {
    headers: { ...client?.credentials(), ...headers },
  });
  const opened = {
    status: 101,
    texts: [] as string[],
    messages: [] as any[],
    end: null as OpenClient['end'],
    isClosed: false,
    socket,
    close: () => socket.terminate(),
    send: (event: string, data?: unknown) => socket.send(JSON.stringify({ event, data })),
  };
  socket.on('message', (data) => {
    const message = JSON.parse(String(data));
    opened.messages.push(message);
    if (message.event === 'tick') opened.texts.push(message.data);
  });
  socket.on('close', (close, reason) => {
    opened.isClosed = true;
    opened.end ??= { close, ...(reason.length > 0 && JSON.parse(String(reason))) };
  });
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    socket.once('open', resolve);
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      let body = '';
      response.on('data', (chunk) => (body += chunk));
      response.on('end', () => {
        Object.assign(opened, { status: response.statusCode, isClosed: true, end: JSON.parse(body) });
        resolve();
      });
    });
  });
  return opened;
}

/** Resolves when a connection is closed. */
export const untilClosed = (client: OpenClient): Promise<void> =>
  eventually(() => {
    if (!client.isClosed) throw new Error('the connection is open');
  });
