import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Clock } from '#core';
import type { RecordedRequest } from './heist-run.js';
import { HeistRuns } from './heist-runs.service.js';

const NAME = /^[a-z-]{1,30}$/;
const MAX_REQUESTS = 100;

/**
 * Records the requests of a run as the server has answered them. A page of another site cannot read its answers, so
 * only the server can report them. A request belongs to a run if its URL has `?heist=<run>&as=<sender>`.
 */
@Injectable()
export class RequestRecorder {
  constructor(
    host: HttpAdapterHost,
    private readonly runs: HeistRuns,
    private readonly clock: Clock,
  ) {
    // Fastify adds hooks to routes when it starts, so this one also runs for the routes of other modules.
    host.httpAdapter.getInstance<FastifyInstance>().addHook('onResponse', (request, reply, done) => {
      this.record(request, reply);
      done();
    });
  }

  private record(request: FastifyRequest, reply: FastifyReply): void {
    const { heist, as } = request.query as Record<string, unknown>;
    if (typeof heist !== 'string' || typeof as !== 'string' || !NAME.test(as)) return;
    const requests = this.runs.find(heist)?.requests;
    if (requests && requests.length < MAX_REQUESTS) requests.push(this.describe(as, request, reply));
  }

  private describe(as: string, request: FastifyRequest, reply: FastifyReply): RecordedRequest {
    const { headers, problem } = request;
    const reason = problem?.options.members?.['reason'];
    return {
      at: new Date(this.clock.now()).toISOString(),
      as,
      method: request.method,
      path: request.url.split('?', 1)[0]!,
      status: reply.statusCode,
      code: problem?.code ?? null,
      reason: typeof reason === 'string' ? reason : null,
      origin: headers.origin ?? null,
      secFetchSite: one(headers['sec-fetch-site']),
      cookies: namesOf(headers.cookie),
      userAgent: headers['user-agent'] ?? null,
      ip: request.clientAddress,
    };
  }
}

const one = (header: string | string[] | undefined): string | null =>
  typeof header === 'string' ? header : null;

/** Values of cookies are secrets, so a report has only the names. */
export function namesOf(cookies: string | undefined): string[] {
  return (cookies ?? '')
    .split(';')
    .map((pair) => pair.split('=', 1)[0]!.trim())
    .filter(Boolean);
}
