import {
  applyDecorators,
  HttpCode,
  HttpStatus,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { map, type Observable } from 'rxjs';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Problem } from '../../platform/api/problem.js';
import { PENDING_EXAMPLE, Receipt } from './receipt.js';

/**
 * For routes that return a {@link Receipt}:
 * - 200 when the revocation is applied
 * - 202 while the session cache does not yet have it
 * - 404 (`resource.not_found`) when the handler returns null
 */
export function AnswersReceipt() {
  return applyDecorators(
    UseInterceptors(ReceiptInterceptor),
    HttpCode(HttpStatus.OK),
    ApiOkResponse({ standardSchema: Receipt, description: 'applied' }),
    ApiAcceptedResponse({
      standardSchema: Receipt,
      description: 'pending; the receipt has the latest times',
      example: PENDING_EXAMPLE,
    }),
    ApiProblems('request.invalid', 'resource.not_found'),
  );
}

class ReceiptInterceptor implements NestInterceptor<Receipt | null, Receipt> {
  intercept(context: ExecutionContext, next: CallHandler<Receipt | null>): Observable<Receipt> {
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return next.handle().pipe(
      map((receipt) => {
        if (!receipt) throw new Problem('resource.not_found');
        if (receipt.status === 'pending') void reply.status(HttpStatus.ACCEPTED);
        return receipt;
      }),
    );
  }
}
