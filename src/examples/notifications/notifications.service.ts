import { Injectable, type MessageEvent } from '@nestjs/common';
import { concatMap, filter, from, map, merge, mergeMap, of, Subject, type Observable } from 'rxjs';
import { InstanceMessages } from '#core';
import { PaymentRepository } from '../payments/payment.repository.js';
import { paymentView } from '../payments/payment.schemas.js';
import { PAYMENT_MADE, type PaymentMade } from '../payments/payments.service.js';

/**
 * An example of events that every instance sends to its own clients. A message between the instances only says that a user
 * has something new. The events come from the table, so none is lost and none is sent twice.
 */
@Injectable()
export class NotificationsService {
  /** The users with something new; null for all of them, after the connection to PostgreSQL was lost. */
  private readonly news = new Subject<string | null>();

  constructor(
    private readonly payments: PaymentRepository,
    messages: InstanceMessages,
  ) {
    messages.subscribe(PAYMENT_MADE, (message) => this.news.next((message as PaymentMade).userId));
    messages.onReconnect(() => this.news.next(null));
  }

  /**
   * The payments of a user as they are made.
   *
   * @param lastId the last payment that the client knows. Without it, the stream begins now
   */
  of(userId: string, lastId?: string): Observable<MessageEvent> {
    let known = lastId;
    const wakeUps = this.news.pipe(filter((concerned) => concerned === null || concerned === userId));
    return merge(of(userId), wakeUps).pipe(
      // One after another: each read begins where the one before it ended.
      concatMap(async (_, index) => {
        if (index === 0 && known === undefined) known = await this.payments.latestId(userId);
        const payments = index === 0 && lastId === undefined ? [] : await this.payments.after(userId, known);
        known = payments.at(-1)?.id ?? known;
        return payments;
      }),
      mergeMap((payments) => from(payments)),
      map((payment) => ({ type: 'payment', id: payment.id, data: paymentView(payment) })),
    );
  }
}
