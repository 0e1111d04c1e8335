import { ApiProblem } from '@drawbridge/client';

/** Whether the server refuses the token, and not another field. */
export const isTokenRefused = (error: unknown): boolean =>
  error instanceof ApiProblem && (error.problem.errors?.some(({ path }) => path === 'token') ?? false);
