import { applyDecorators } from '@nestjs/common';
import { ApiExtension } from '@nestjs/swagger';
import type { ProblemCode } from './problem.js';

/**
 * One extension for each code, so that the codes of a controller and of its routes add up. `openapi.ts` turns them into
 * responses.
 */
export const PROBLEM_EXTENSION = 'x-problem-';

/** Documents the problems that a route may answer. */
export function ApiProblems(...codes: ProblemCode[]) {
  return applyDecorators(...codes.map((code) => ApiExtension(PROBLEM_EXTENSION + code, true)));
}
