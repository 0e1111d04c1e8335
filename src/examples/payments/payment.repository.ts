import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository, type EntityManager } from 'typeorm';
import { AccountDeletions } from '#core';
import { Payment } from './payment.entity.js';

const MAX_LISTED = 100;
const MAX_RECIPIENTS = 10;

/** All statements of the table `payments`. The payments of a user are deleted with the account. */
@Injectable()
export class PaymentRepository {
  constructor(
    @InjectRepository(Payment) private readonly payments: Repository<Payment>,
    deletions: AccountDeletions,
  ) {
    deletions.register((tx, { id: userId }) => tx.delete(Payment, { userId }));
  }

  /** The user's payments, newest first. */
  list(userId: string): Promise<Payment[]> {
    return this.payments.find({
      where: { userId },
      order: { createdAt: 'DESC', id: 'DESC' },
      take: MAX_LISTED,
    });
  }

  /** The id of the user's newest payment. */
  async latestId(userId: string): Promise<string | undefined> {
    const [payment] = await this.payments.find({
      where: { userId },
      order: { createdAt: 'DESC', id: 'DESC' },
      take: 1,
    });
    return payment?.id;
  }

  /** The user's payments after the one with this id, oldest first; all of them if there is no such payment. */
  async after(userId: string, id?: string): Promise<Payment[]> {
    const found = this.payments
      .createQueryBuilder('payment')
      .where({ userId })
      .orderBy('payment.createdAt')
      .addOrderBy('payment.id')
      .limit(MAX_LISTED);
    const known = id && (await this.payments.findOneBy({ userId, id }));
    if (known)
      found.andWhere('(payment.createdAt, payment.id) > (:at, :id)', { at: known.createdAt, id: known.id });
    return found.getMany();
  }

  /** The most frequent recipients of the user's payments. It reads all of them. */
  async recipients(userId: string): Promise<string[]> {
    const rows = await this.payments
      .createQueryBuilder('payment')
      .select('payment.recipient', 'recipient')
      .where({ userId })
      .groupBy('payment.recipient')
      .orderBy('count(*)', 'DESC')
      .addOrderBy('payment.recipient')
      .limit(MAX_RECIPIENTS)
      .getRawMany<{ recipient: string }>();
    return rows.map(({ recipient }) => recipient);
  }

  /** @returns the new payment, or the one that the user has already made with its idempotency key */
  async insertOrFind(tx: EntityManager, payment: Payment): Promise<Payment> {
    await tx.createQueryBuilder().insert().into(Payment).values(payment).orIgnore().execute();
    const { userId, idempotencyKey } = payment;
    return tx.findOneByOrFail(Payment, { userId, idempotencyKey });
  }
}
