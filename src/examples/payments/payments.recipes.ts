import { randomUUID } from 'node:crypto';
import type { Recipes } from '../../../test/support/request-examples.js';

/** Requests that succeed, for the tests of every route. */
export const RECIPES: Recipes = {
  'POST /v1/payments': () => ({
    headers: { 'idempotency-key': randomUUID() },
    body: { amount: 1_250, currency: 'EUR', recipient: 'Bob' },
  }),
};
