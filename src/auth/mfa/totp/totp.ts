import { Secret, TOTP } from 'otpauth';

/**
 * The parameters that every authenticator app supports (RFC 6238): SHA-1, six digits, 30 seconds. Collisions of SHA-1
 * do not break HMAC-SHA-1.
 */
const PARAMETERS = { algorithm: 'SHA1', digits: 6, period: 30 } as const;
/** 160 bits, as RFC 4226 section 4 recommends. */
export const SECRET_BYTES = 20;
/** The clocks of phones differ, so one code before and one after are accepted (RFC 6238 5.2). */
const WINDOW = 1;

export const TOTP_CODE = /^\d{6}$/;

/**
 * The time step of a code: the current one, or the one before or after; null for a wrong code.
 *
 * @param now milliseconds since the epoch
 */
export function stepOf(code: string, secret: Buffer, now: number): number | null {
  const otp = { ...PARAMETERS, secret: secretOf(secret) };
  const delta = TOTP.validate({ ...otp, token: code, timestamp: now, window: WINDOW });
  return delta === null ? null : TOTP.counter({ period: PARAMETERS.period, timestamp: now }) + delta;
}

/** The spelling that users type. */
export function base32Of(secret: Buffer): string {
  return secretOf(secret).base32;
}

/** The URL that an authenticator app reads from a QR code. The app shows `issuer` and `account` as the name. */
export function otpauthUrlOf(
  secret: Buffer,
  { issuer, account }: { issuer: string; account: string },
): string {
  return new TOTP({ ...PARAMETERS, secret: secretOf(secret), issuer, label: account }).toString();
}

function secretOf(secret: Buffer): Secret {
  return Secret.fromHex(secret.toString('hex'));
}
