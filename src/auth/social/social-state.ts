import { Injectable } from '@nestjs/common';
import { parseCookie, stringifySetCookie } from 'cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { KeyStore } from '../../platform/keys/key-store.js';
import { Clock } from '../../platform/runtime/clock.js';
import { deriveKey } from '../../platform/runtime/derive-key.js';
import { Settings } from '../../platform/settings/settings.js';
import { PRODUCT } from '../../product.js';

/** How long a user may take at the provider, in ms. */
const LIFE_MS = 10 * 60_000;
const NO_SALT = Buffer.alloc(0);

/** A sign-in that has begun in this browser. */
export interface BegunSignIn {
  provider: string;
  state: string;
  nonce: string;
  /** The verifier of PKCE. */
  verifier: string;
  /** The path to which the browser returns. */
  returnTo: string;
  /** For a user who links the outside account to an own one: the session, and when it has asked. */
  link?: { userId: string; sessionId: string; requestedAt: number };
}

/**
 * Keeps a begun sign-in in a cookie of its browser, so that it cannot be completed in another one (login CSRF, state
 * fixation; RFC 9700 4.7). The cookie is signed, expires after ten minutes, and is removed by the first callback.
 */
@Injectable()
export class SocialState {
  private readonly name: string;

  constructor(
    private readonly keys: KeyStore,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {
    const { cookieSecure, cookiePrefix } = settings;
    this.name = `${cookieSecure ? '__Host-' : ''}${cookiePrefix ? `${cookiePrefix}-` : ''}social`;
  }

  keep(reply: FastifyReply, begun: BegunSignIn): void {
    const content = Buffer.from(JSON.stringify({ ...begun, until: this.clock.now() + LIFE_MS })).toString(
      'base64url',
    );
    const secret = this.keys.mintingSecret(this.clock.now());
    this.write(reply, `${content}.${macOf(secret, content)}`, LIFE_MS / 1_000);
  }

  /** Takes the begun sign-in of a browser, and removes its cookie. @returns null if there is none, or it has expired */
  take(request: FastifyRequest, reply: FastifyReply): BegunSignIn | null {
    const value = parseCookie(request.headers.cookie ?? '')[this.name];
    this.write(reply, '', 0);
    const [content = '', mac = ''] = (value ?? '').split('.');
    const now = this.clock.now();
    if (!this.keys.verifyingSecrets(now).some((secret) => isSame(mac, macOf(secret, content)))) return null;
    const { until, ...begun } = JSON.parse(Buffer.from(content, 'base64url').toString()) as BegunSignIn & {
      until: number;
    };
    return until > now ? begun : null;
  }

  private write(reply: FastifyReply, value: string, maxAge: number): void {
    const cookie = stringifySetCookie({
      name: this.name,
      value,
      httpOnly: true,
      secure: this.settings.cookieSecure,
      sameSite: 'lax',
      path: '/',
      maxAge,
    });
    void reply.header('set-cookie', cookie);
  }
}

function macOf(secret: Buffer, content: string): string {
  const key = deriveKey(secret, { salt: NO_SALT, purpose: PRODUCT.keyPurpose.socialState });
  return createHmac('sha256', key).update(content).digest('base64url');
}

function isSame(given: string, right: string): boolean {
  const bytes = Buffer.from(given);
  return bytes.length === right.length && timingSafeEqual(bytes, Buffer.from(right));
}
