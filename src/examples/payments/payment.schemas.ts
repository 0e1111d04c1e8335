import { z } from 'zod';
import { instant, text, uuid } from '#core';
import type { Payment } from './payment.entity.js';

export const NewPayment = z.strictObject({
  amount: z
    .int('must be a whole number of minor units')
    .positive('must be more than 0')
    .describe('in minor units: 1250 are 12.50 EUR')
    .meta({ examples: [1_250] }),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as EUR')
    .meta({ examples: ['EUR'] }),
  recipient: text({ max: 200 }).meta({ examples: ['Bob'] }),
});
export type NewPayment = z.infer<typeof NewPayment>;

export const PaymentView = z.object({
  id: uuid,
  amount: z
    .int()
    .describe('in minor units')
    .meta({ examples: [1_250] }),
  currency: z.string().meta({ examples: ['EUR'] }),
  recipient: z.string().meta({ examples: ['Bob'] }),
  createdAt: instant,
});

export const PaymentList = z.object({ items: z.array(PaymentView) });

export const RecipientList = z.object({ recipients: z.array(z.string()).meta({ examples: [['Bob']] }) });

export function paymentView({
  id,
  amount,
  currency,
  recipient,
  createdAt,
}: Payment): z.infer<typeof PaymentView> {
  return { id, amount: Number(amount), currency, recipient, createdAt: createdAt.toISOString() };
}
