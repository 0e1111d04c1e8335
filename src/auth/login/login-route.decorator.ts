import { applyDecorators, HttpCode, HttpStatus } from '@nestjs/common';
import { ApiHeader, ApiOkResponse } from '@nestjs/swagger';
import type { z } from 'zod';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Throttled } from '../../platform/throttling/throttled.decorator.js';
import { AnswersWithCookies } from '../guards/answers-with-cookies.decorator.js';
import { AcceptsKeyProof } from '../device-binding/accepts-key-proof.decorator.js';
import { Public } from '../guards/public.decorator.js';
import { Grant } from './auth.schemas.js';
import { GRANT_EXAMPLES, type LOGIN_ANSWER_EXAMPLES } from './login-examples.schemas.js';

interface LoginRouteOptions {
  throttled: Parameters<typeof Throttled>[0];
  /** Whether this body asks for the bearer transport. It has not been validated yet. */
  isBearer: Parameters<typeof AnswersWithCookies>[0];
  /** The answer, if it is not always a grant. */
  answer?: { standardSchema: z.ZodType; examples: typeof LOGIN_ANSWER_EXAMPLES };
}

/** The header of bearer clients; a browser sends its device cookie. */
export const DeviceTokenHeader = () =>
  ApiHeader({ name: 'X-Device-Token', required: false, description: 'bearer transport only' });

/** The response of a route that gives new tokens. */
export const GRANT_ANSWER = { standardSchema: Grant, examples: GRANT_EXAMPLES };

/** A public route that completes a login. The answer is a grant, in cookies or in the body. */
export const LoginRoute = ({ throttled, isBearer, answer = GRANT_ANSWER }: LoginRouteOptions) =>
  applyDecorators(
    Public(),
    AnswersWithCookies(isBearer),
    Throttled(throttled),
    HttpCode(HttpStatus.OK),
    DeviceTokenHeader(),
    AcceptsKeyProof(),
    ApiOkResponse(answer),
    ApiProblems(
      'request.invalid',
      'auth.invalid_credentials',
      'request.cross_site',
      'resource.conflict',
      'auth.unavailable',
    ),
  );
