import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import '../logging/security-event-log.js';
import { invalidRequest, Problem, PROBLEM_TYPE, type ProblemCode } from './problem.js';

/** Translates an error of a library into a problem; undefined if it does not know the error. */
export type ProblemTranslator = (error: unknown) => Problem | undefined;

/** Turns every error into problem+json. Details for the log are only logged. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly logger: Logger,
    private readonly translators: ProblemTranslator[],
    private readonly allowedMethods: (url: string) => string[],
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  /** Sends the problem for an error, unless an answer has already started. */
  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    if (reply.sent || reply.raw.headersSent) return;
    const problem = this.problemOf(error, request);
    request.problem = problem;
    void reply
      .status(problem.status)
      .headers(problem.headers)
      .header('content-type', PROBLEM_TYPE)
      .send(JSON.stringify(problem.body(String(request.id))));
  }

  /** The problem for an error of a request. Errors with status 500 and above are logged. */
  problemOf(error: unknown, request: FastifyRequest): Problem {
    let problem = this.recognise(error);
    if (problem.status === 404 && !(error instanceof Problem)) problem = this.methodOrMissing(request);
    if (problem.status >= 500) {
      const level = problem.status === 503 ? 'warn' : 'error';
      this.logger[level](
        { requestId: request.id, code: problem.code, err: problem.cause ?? error },
        'request failed',
      );
    }
    return problem;
  }

  private recognise(error: unknown): Problem {
    if (error instanceof Problem) return error;
    for (const translate of this.translators) {
      const problem = translate(error);
      if (problem) return problem;
    }
    return fromStatus(statusOf(error), error);
  }

  /** The framework answers 404 for a known path with another method. HTTP requires 405 with the allowed methods. */
  private methodOrMissing(request: FastifyRequest): Problem {
    const methods = this.allowedMethods(request.url);
    return methods.length > 0
      ? new Problem('request.method', { headers: { allow: methods.join(', ') } })
      : new Problem('resource.not_found');
  }
}

const CODES: Partial<Record<number, ProblemCode>> = {
  401: 'auth.unauthenticated',
  403: 'auth.forbidden',
  404: 'resource.not_found',
  405: 'request.method',
  409: 'resource.conflict',
  413: 'request.too_large',
  415: 'request.media_type',
  429: 'request.rate_limited',
  503: 'auth.unavailable',
};

function fromStatus(status: number, cause: unknown): Problem {
  const code = CODES[status];
  if (code) return new Problem(code, { cause });
  if (status >= 400 && status < 500) {
    return invalidRequest([{ path: '', message: 'could not be read' }]);
  }
  return new Problem('internal.error', { cause });
}

function statusOf(error: unknown): number {
  if (error instanceof HttpException) return error.getStatus();
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' ? status : 500;
}
