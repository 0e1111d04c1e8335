import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export const THIEF = 'Thief/1.0';
/** Linux has all addresses of 127.0.0.0/8, so the thief can come from another address than the owner. */
const THIEF_ADDRESS = process.platform === 'linux' ? '127.0.0.66' : undefined;
const TIMEOUT_MS = 5_000;

export interface ThiefRequest {
  method: 'GET' | 'POST';
  path: string;
  headers?: Record<string, string>;
  body?: Record<string, string>;
}

export interface ThiefAnswer {
  status: number;
  body: Record<string, unknown>;
}

/** Sends real HTTP requests to this server. No parameter can make it call another one. */
@Injectable()
export class ThiefClient {
  constructor(private readonly host: HttpAdapterHost) {}

  /** @throws Error if the server does not answer */
  async send({ method, path, headers, body }: ThiefRequest): Promise<ThiefAnswer> {
    const answer = await new Promise<{ status: number; text: string }>((resolve, reject) => {
      const options = {
        ...this.address(),
        method,
        path,
        timeout: TIMEOUT_MS,
        agent: false,
        headers: {
          'user-agent': THIEF,
          ...(body && { 'content-type': 'application/json' }),
          ...headers,
        },
      };
      const sent = httpRequest(options, (response) => {
        text(response).then((read) => resolve({ status: response.statusCode!, text: read }), reject);
      });
      sent.once('timeout', () => sent.destroy(new Error('the server did not answer in time')));
      sent.once('error', reject);
      sent.end(body && JSON.stringify(body));
    });
    return {
      status: answer.status,
      body: (answer.text ? JSON.parse(answer.text) : {}) as ThiefAnswer['body'],
    };
  }

  /** The socket on which this server listens. */
  private address(): { host: string; port: number; localAddress?: string } {
    const { address, port } = (this.host.httpAdapter.getHttpServer() as Server).address() as AddressInfo;
    if (address.includes(':')) return { host: '::1', port };
    const host = address === '0.0.0.0' ? '127.0.0.1' : address;
    return { host, port, ...(host.startsWith('127.') && { localAddress: THIEF_ADDRESS }) };
  }
}
