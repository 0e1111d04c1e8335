import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { Clock, databaseNow, Problem, random, SessionFence } from '#core';
import { Payment } from './payment.entity.js';
import type { NewPayment } from './payment.schemas.js';

const MAX_LISTED = 100;

/** An example of a business write whose commit is serialised with the end of its session. */
@Injectable()
export class PaymentsService {
  constructor(
    @InjectRepository(Payment) private readonly payments: Repository<Payment>,
    private readonly fence: SessionFence,
    private readonly clock: Clock,
  ) {}

  /** The user's payments, newest first. */
  list(userId: string): Promise<Payment[]> {
    return this.payments.find({
      where: { userId },
      order: { createdAt: 'DESC', id: 'DESC' },
      take: MAX_LISTED,
    });
  }

  /**
   * Makes a payment, or returns the payment that this key has already made. Its commit and the end of the session are
   * serialised, see `SessionFence`.
   *
   * @throws Problem `auth.session_ended`; `resource.conflict` when the key was used for another payment
   */
  async make(session: { id: string; userId: string }, key: string, order: NewPayment): Promise<Payment> {
    return this.fence.write(session, async (tx) => {
      const payment = {
        ...order,
        id: random.uuid(),
        userId: session.userId,
        sessionId: session.id,
        idempotencyKey: key,
        amount: String(order.amount),
        createdAt: await databaseNow(tx, this.clock),
      };
      await tx.createQueryBuilder().insert().into(Payment).values(payment).orIgnore().execute();
      const made = await tx.findOneByOrFail(Payment, { userId: session.userId, idempotencyKey: key });
      const same =
        made.amount === payment.amount &&
        made.currency === order.currency &&
        made.recipient === order.recipient;
      if (!same)
        throw new Problem('resource.conflict', {
          detail: 'This Idempotency-Key was used for another payment.',
        });
      return made;
    });
  }
}
