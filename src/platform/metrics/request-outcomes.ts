import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { ProblemCode } from '../api/problem.js';
import '../logging/security-event-log.js';

/** The outcomes of requests since the start of this instance: logins, and problems by their code. */
@Injectable()
export class RequestOutcomes {
  private begun = 0;
  private readonly answered = new Map<ProblemCode, number>();

  /** Logins that have begun a session. */
  get logins(): number {
    return this.begun;
  }

  /** Answers with a problem. There are as many codes as `PROBLEMS` has. */
  get problems(): ReadonlyMap<ProblemCode, number> {
    return this.answered;
  }

  /** Call it when a request has been answered. */
  observe({ problem, event }: Pick<FastifyRequest, 'problem' | 'event'>): void {
    if (problem) this.answered.set(problem.code, (this.answered.get(problem.code) ?? 0) + 1);
    else if (event?.event === 'session_created') this.begun += 1;
  }
}
