import { PRODUCT } from '../../product.js';

/**
 * The user of the examples in the API document. It is a demo user of development, so that the requests of the document
 * work as they are.
 */
export const EXAMPLE_USER = {
  id: 'a11ce000-0000-4000-8000-000000000000',
  email: 'alice@example.com',
  displayName: 'Alice',
};

export const EXAMPLE_PASSWORD = PRODUCT.demoPassword;
/** A password that the rules accept. */
export const EXAMPLE_NEW_PASSWORD = 'seven herons over the weir';

export const EXAMPLE_DEVICE = {
  name: 'Chrome on Windows',
  browser: 'Chrome',
  os: 'Windows',
  ip: '203.0.113.7',
  userAgent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36',
};

/** Moments of an example: when it begins, and 15 minutes, 30 days and 90 days later. */
export const EXAMPLE_TIMES = {
  now: '2026-01-31T12:00:00.000Z',
  soon: '2026-01-31T12:15:00.000Z',
  month: '2026-03-02T12:00:00.000Z',
  quarter: '2026-05-01T12:00:00.000Z',
};
