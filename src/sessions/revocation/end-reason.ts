export const END_REASONS = [
  'logout',
  'logout_others',
  'admin',
  'admin_everyone',
  'ban',
  'password_change',
  'password_reset',
  'mfa_change',
  'account_deleted',
  'session_limit',
  'idle',
  'expired',
  'refresh_reuse',
  'suspicious',
] as const;

/** Why a session ended. The API shows this reason to the session's user. */
export type EndReason = (typeof END_REASONS)[number];

/** How a session ended; `at` is in milliseconds since the epoch. */
export interface Ended {
  reason: EndReason;
  at: number;
}
