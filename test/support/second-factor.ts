import { expect } from '@jest/globals';
import { Secret, TOTP } from 'otpauth';
import type { TestApp } from './app.js';
import type { Answer, Client } from './client.js';
import type { TestClock } from './clock.js';

const STEP_MS = 30_000;

/** The phone of a user: an app with the secret, and a clock that is right. */
export class AuthenticatorApp {
  private readonly totp: TOTP;

  constructor(
    secret: string,
    private readonly clock: TestClock,
  ) {
    this.totp = new TOTP({ secret: Secret.fromBase32(secret) });
  }

  /** @param steps from now: -1 for the previous code */
  code(steps = 0): string {
    return this.totp.generate({ timestamp: this.clock.now() + steps * STEP_MS });
  }

  /** A code that was not used before. */
  nextCode(): string {
    this.clock.advance(STEP_MS);
    return this.code();
  }
}

export interface Enrolled {
  phone: AuthenticatorApp;
  recoveryCodes: string[];
  secret: string;
}

/** Enrols an authenticator app in a fresh session. */
export async function enrol({ clock }: Pick<TestApp, 'clock'>, client: Client): Promise<Enrolled> {
  const begun = await client.post('/v1/auth/mfa/totp');
  expect(begun.status).toBe(200);
  const phone = new AuthenticatorApp(begun.body.secret, clock);
  const confirmed = await client.post('/v1/auth/mfa/totp/confirm', { code: phone.code() });
  expect(confirmed.status).toBe(200);
  return { phone, recoveryCodes: confirmed.body.recoveryCodes, secret: begun.body.secret };
}

/** The second half of a login; the client keeps the tokens. */
export async function complete(client: Client, challengeToken: string, code: string): Promise<Answer> {
  const headers: Record<string, string> = client.deviceToken ? { 'x-device-token': client.deviceToken } : {};
  const answer = await client.post('/v1/auth/login/mfa', { challengeToken, code }, { headers });
  if (answer.status !== 200) return answer;
  const { accessToken, refreshToken, deviceToken } = answer.body;
  return Object.assign(answer, void Object.assign(client, { accessToken, refreshToken, deviceToken }));
}
