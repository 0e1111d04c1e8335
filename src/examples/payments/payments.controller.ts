import { Body, Controller, Get, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  AllowScope,
  ApiProblems,
  CurrentCaller,
  CurrentSession,
  IdempotencyKey,
  RequireSession,
  type Caller,
  type SessionSnapshot,
} from '#core';
import { PAYMENTS_WRITE } from '../scopes.js';
import { NewPayment, PaymentList, PaymentView, paymentView, RecipientList } from './payment.schemas.js';
import { PaymentsService } from './payments.service.js';

/** A high-risk route. With one decorator, an ended session is refused on its next request. */
@ApiTags('examples')
@Controller('payments')
@RequireSession()
export class PaymentsController {
  constructor(private readonly payments: PaymentsService) {}

  @Get()
  @ApiOperation({ summary: 'List my payments', description: 'The newest 100.' })
  @ApiOkResponse({ standardSchema: PaymentList })
  async list(@CurrentSession() { userId }: SessionSnapshot) {
    return { items: (await this.payments.list(userId)).map(paymentView) };
  }

  @Get('recipients')
  @ApiOperation({
    summary: 'List the recipients of my payments',
    description: 'For a form that suggests recipients.',
  })
  @ApiOkResponse({ standardSchema: RecipientList })
  async recipients(@CurrentSession() { userId }: SessionSnapshot) {
    return { recipients: await this.payments.recipients(userId) };
  }

  /** A person pays in a live session, and a machine with a live API key that has the scope. */
  @Post()
  @ApiOperation({
    summary: 'Make a payment',
    description:
      'A high-risk route: an ended session is refused on its next request. Requests with the same key make the payment once.',
  })
  @AllowScope(PAYMENTS_WRITE)
  @ApiHeader({
    name: 'Idempotency-Key',
    required: true,
    description: 'requests with the same key make the payment once',
    example: 'payment-1',
  })
  @ApiCreatedResponse({ standardSchema: PaymentView })
  @ApiProblems('request.invalid', 'resource.conflict')
  async make(
    @IdempotencyKey() key: string,
    @Body({ schema: NewPayment }) payment: NewPayment,
    @CurrentCaller() caller: Caller,
  ) {
    return paymentView(await this.payments.make(caller, key, payment));
  }
}
