import { defineScope } from '#core';

/** The scopes of the examples. */
export const FLAGS_READ = defineScope('flags:read', { description: 'Read your feature flags' });
export const PAYMENTS_WRITE = defineScope('payments:write', {
  description: 'Make payments from your account',
});
