import { z } from 'zod';
import { instant, text, uuid } from '#core';
import type { Payment } from './payment.entity.js';

export const NewPayment = z.strictObject({
  amount: z.int('must be a whole number of minor units').positive('must be more than 0'),
  currency: z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as EUR'),
  recipient: text({ max: 200 }),
});
export type NewPayment = z.infer<typeof NewPayment>;

export const PaymentView = z.object({
  id: uuid,
  amount: z.int(),
  currency: z.string(),
  recipient: z.string(),
  createdAt: instant,
});

export const PaymentList = z.object({ items: z.array(PaymentView) });

export const RecipientList = z.object({ recipients: z.array(z.string()) });

export function paymentView({
  id,
  amount,
  currency,
  recipient,
  createdAt,
}: Payment): z.infer<typeof PaymentView> {
  return { id, amount: Number(amount), currency, recipient, createdAt: createdAt.toISOString() };
}
