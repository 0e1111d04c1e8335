import { Registry, type Defined } from '../runtime/registry.js';

/** Event names follow the OWASP logging vocabulary where it has one. */
const CORE = [
  'user_created',
  'user_updated',
  'user_deleted',
  'user_banned',
  'user_ban_lifted',
  'privilege_permissions_changed',
  'authn_login_success',
  'authn_login_successafterfail',
  'authn_login_fail',
  'authn_login_fail_max',
  'authn_reauthenticated',
  'authn_reauthentication_voided',
  'authn_second_factor_asked',
  'authn_second_factor_fail',
  'authn_second_factor_added',
  'authn_second_factor_removed',
  'authn_second_factor_reset',
  'authn_recovery_codes_renewed',
  'authn_recovery_code_used',
  'authn_password_change',
  'authn_password_change_fail',
  'authn_password_reset_requested',
  'authn_password_reset',
  'email_verified',
  'email_change_requested',
  'email_changed',
  'authn_passkey_added',
  'authn_passkey_renamed',
  'authn_passkey_removed',
  'authn_passkey_cloned',
  'authn_token_reuse',
  'authn_token_unknown',
  'authn_device_key_unproven',
  'session_bound',
  'session_unbound',
  'authn_token_revoked',
  'device_renamed',
  'session_ended',
  'session_suspicious',
  'session_expired',
  'sessions_ended',
  'sessions_ended_everywhere',
  'excess_rate_limit_exceeded',
  'sensitive_read',
] as const;

const TYPES = new Registry<true>(
  // As the filter of `GET /v1/admin/audit-events` accepts them.
  { call: 'defineAuditEvent', names: /^[a-z_]{1,60}$/ },
  Object.fromEntries(CORE.map((type) => [type, true])),
);

/** An event type of the core, or one that {@link defineAuditEvent} has returned. */
export type AuditEventType = (typeof CORE)[number] | Defined<'audit event'>;

/**
 * Defines an event type of a feature. Call it where a module loads, not in a function. A duplicate type stops the
 * boot.
 *
 * @param type lower-case letters and underscores, at most 60. Stored events keep it, so never change it
 */
export function defineAuditEvent(type: string): Defined<'audit event'> {
  return TYPES.define(type, true) as Defined<'audit event'>;
}

/** The event types of the core, and of the features that are loaded. */
export function auditEventTypes(): string[] {
  return TYPES.names();
}
