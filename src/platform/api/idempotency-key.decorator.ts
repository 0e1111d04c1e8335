import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { invalidRequest } from './problem.js';

/** Printable ASCII without spaces, as a header can carry it. */
const KEY = /^[\x21-\x7e]{1,200}$/;

/**
 * The client's identifier of one payment, from the `Idempotency-Key` header.
 *
 * @throws Problem `request.invalid`
 */
export const IdempotencyKey = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  const key = context.switchToHttp().getRequest<FastifyRequest>().headers['idempotency-key'];
  if (typeof key === 'string' && KEY.test(key)) return key;
  throw invalidRequest([
    { path: 'Idempotency-Key', message: 'must be 1 to 200 printable characters, unique to this payment' },
  ]);
});
