import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import {
  CACHE_MANAGER,
  Clock,
  databaseNow,
  InstanceMessages,
  Problem,
  random,
  SessionFence,
  type Cache,
  type Caller,
} from '#core';
import type { Payment } from './payment.entity.js';
import { PaymentRepository } from './payment.repository.js';
import type { NewPayment } from './payment.schemas.js';

/** How old a list may be. A deletion from the cache is lost while Redis is down, or when it overtakes a read. */
const RECIPIENTS_TTL_MS = 30_000;

/** Tells all instances that a user has a new payment. */
export const PAYMENT_MADE = 'payment made';
export interface PaymentMade {
  userId: string;
}

const recipientsKey = (userId: string) => `recipients:${userId}`;

/** An example of a business write whose commit is serialised with the end of its session or API key. */
@Injectable()
export class PaymentsService {
  constructor(
    private readonly payments: PaymentRepository,
    private readonly fence: SessionFence,
    private readonly messages: InstanceMessages,
    private readonly clock: Clock,
    @Inject(CACHE_MANAGER) private readonly cache: Cache,
  ) {}

  /** The user's payments, newest first. */
  list(userId: string): Promise<Payment[]> {
    return this.payments.list(userId);
  }

  /** The most frequent recipients of the user's payments. The cache spares the query, which reads all of them. */
  recipients(userId: string): Promise<string[]> {
    return this.cache.wrap(recipientsKey(userId), () => this.payments.recipients(userId), RECIPIENTS_TTL_MS);
  }

  /**
   * Makes a payment, or returns the payment that this key has already made. Its commit and the end of the session,
   * or of the API key, are serialised, see `SessionFence`.
   *
   * @throws Problem `auth.session_ended`, `auth.invalid_key`; `resource.conflict` when the key was used for another payment
   */
  async make(caller: Caller, key: string, order: NewPayment): Promise<Payment> {
    const made = await this.fence.write(caller, (tx) => this.insert(tx, caller, key, order));
    await this.cache.del(recipientsKey(caller.userId));
    return made;
  }

  private async insert(tx: EntityManager, caller: Caller, key: string, order: NewPayment): Promise<Payment> {
    const payment = {
      ...order,
      id: random.uuid(),
      userId: caller.userId,
      madeBy: caller.id,
      idempotencyKey: key,
      amount: String(order.amount),
      createdAt: await databaseNow(tx, this.clock),
    };
    const made = await this.payments.insertOrFind(tx, payment);
    await this.messages.publish(tx, PAYMENT_MADE, { userId: caller.userId } satisfies PaymentMade);
    const isSame =
      made.amount === payment.amount &&
      made.currency === order.currency &&
      made.recipient === order.recipient;
    if (!isSame)
      throw new Problem('resource.conflict', {
        detail: 'This Idempotency-Key was used for another payment.',
      });
    return made;
  }
}
