import { Secret, TOTP } from 'otpauth';

/** What every authenticator app can do (RFC 6238): SHA-1, six digits, 30 seconds. HMAC-SHA-1 is not broken by collisions. */
const PARAMETERS = { algorithm: 'SHA1', digits: 6, period: 30 } as const;
/** 160 bits, as RFC 4226 4 recommends. */
export const SECRET_BYTES = 20;
/** Clocks of phones differ: one code before and one after (RFC 6238 5.2). */
const WINDOW = 1;

export const TOTP_CODE = /^\d{6}$/;

/**
 * The time step that the code is of, now or one before or after; null for a wrong one.
 * @param now ms since the epoch
 */
export function stepOf(code: string, secret: Buffer, now: number): number | null {
  const otp = { ...PARAMETERS, secret: secretOf(secret) };
  const delta = TOTP.validate({ ...otp, token: code, timestamp: now, window: WINDOW });
  return delta === null ? null : TOTP.counter({ period: PARAMETERS.period, timestamp: now }) + delta;
}

/** As people type it. */
export function base32Of(secret: Buffer): string {
  return secretOf(secret).base32;
}

/** What an authenticator app reads from a QR code. @param issuer and @param account name it there */
export function otpauthUrlOf(
  secret: Buffer,
  { issuer, account }: { issuer: string; account: string },
): string {
  return new TOTP({ ...PARAMETERS, secret: secretOf(secret), issuer, label: account }).toString();
}

function secretOf(secret: Buffer): Secret {
  return Secret.fromHex(secret.toString('hex'));
}
