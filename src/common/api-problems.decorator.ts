import { applyDecorators } from '@nestjs/common';
import { ApiExtension } from '@nestjs/swagger';
import type { ProblemCode } from './problem.js';

/** One key per code, so that what the controller says and what the route says add up; `docs.ts` turns them into answers. */
export const PROBLEM_EXTENSION = 'x-problem-';

/** Documents problems that a route answers with. */
export function ApiProblems(...codes: ProblemCode[]) {
  return applyDecorators(...codes.map((code) => ApiExtension(PROBLEM_EXTENSION + code, true)));
}
