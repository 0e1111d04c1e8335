import { applyDecorators } from '@nestjs/common';
import { ApiExtension, ApiResponse } from '@nestjs/swagger';
import { PROBLEMS, type ProblemCode } from './problem.js';

export const PROBLEM_SCHEMA = 'Problem';

/** Documents the problems that a route answers with, several codes to a status. */
export function ApiProblems(...codes: ProblemCode[]) {
  const statuses = [...new Set(codes.map((code) => PROBLEMS[code][0]))];
  return applyDecorators(
    ...statuses.map((status) =>
      ApiResponse({
        status,
        description: codes
          .filter((code) => PROBLEMS[code][0] === status)
          .map((code) => `\`${code}\`: ${PROBLEMS[code][1]}`)
          .join('; '),
        content: {
          'application/problem+json': { schema: { $ref: `#/components/schemas/${PROBLEM_SCHEMA}` } },
        },
      }),
    ),
    ApiExtension('x-problems', codes),
  );
}
