import { Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Problem } from '../../platform/api/problem.js';
import { cookieNamesOf } from '../../platform/http/cookie-names.js';
import { Clock } from '../../platform/runtime/clock.js';
import { Settings } from '../../platform/settings/settings.js';
import { BindingTokens } from '../../sessions/binding/binding-tokens.js';
import type { BoundSession, Renewal } from '../../sessions/binding/session-bindings.service.js';
import { expiryOf } from '../../sessions/check/session-snapshot.js';
import { setCookie } from '../guards/cookies.js';
import { AccessTokens } from '../tokens/access-tokens.js';
import type { SessionInstructions, SessionStopped } from './device-binding.schemas.js';

/** The routes of `DeviceBindingController`. */
export const BINDING_PATH = '/v1/auth/binding';

/**
 * A browser renews the cookie from two minutes before it expires, and Chromium signs at most six times in nine minutes
 * for each site. So five minutes is the shortest useful time.
 */
const GOOD_FOR_MS = 5 * 60_000;
/** The browser forgets the cookie earlier, so that a request on its way does not arrive too late. */
const MAX_AGE_S = GOOD_FOR_MS / 1_000 - 10;

/** Gives a browser its bound cookie, and tells it how to renew that cookie. */
@Injectable()
export class BoundCookieResponder {
  constructor(
    private readonly bindingTokens: BindingTokens,
    private readonly accessTokens: AccessTokens,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /** Replaces the access token from before the binding by one that is worth nothing without the bound cookie. */
  setAccessCookie(reply: FastifyReply, { session, decidedAt }: BoundSession): void {
    const { expiresAt } = expiryOf(session, this.settings);
    const { token } = this.accessTokens.mint(session, decidedAt);
    setCookie(reply, 'access', token, this.settings, Math.floor((expiresAt - this.clock.now()) / 1_000));
  }

  /**
   * Sets the bound cookie. Its value differs each time.
   *
   * @param host the host name of the request, without a port
   * @returns the instructions for the browser
   */
  send(reply: FastifyReply, { session, decidedAt }: BoundSession, host: string): SessionInstructions {
    const { id: sessionId, binding } = session;
    const expiresAt = decidedAt + GOOD_FOR_MS;
    const cookie = this.bindingTokens.mint('boundCookie', { sessionId, number: binding.version, expiresAt });
    setCookie(reply, 'bound', cookie, this.settings, MAX_AGE_S);
    return {
      session_identifier: sessionId,
      refresh_url: `${BINDING_PATH}/refresh`,
      scope: {
        include_site: false,
        scope_specification: [{ type: 'exclude', domain: host, path: BINDING_PATH }],
      },
      credentials: [
        {
          type: 'cookie',
          name: cookieNamesOf(this.settings).bound,
          attributes: `Path=/; ${this.settings.cookieSecure ? 'Secure; ' : ''}HttpOnly; SameSite=Lax`,
        },
      ],
      // Otherwise a link of another site, such as a web mailer, opens a page without the cookie.
      allowed_refresh_initiators: ['*'],
    };
  }

  /**
   * Answers a renewal. Chromium takes 403 for a challenge, and forgets its key at any other 4xx but 407 and 429.
   *
   * @throws Problem `auth.device_proof_required` with the challenge, `request.invalid` for another key
   */
  answer(
    reply: FastifyReply,
    renewal: Renewal,
    { sessionId, host }: { sessionId: string; host: string },
  ): SessionInstructions | SessionStopped {
    switch (renewal.outcome) {
      case 'ended':
        return { session_identifier: sessionId, continue: false };
      case 'refused':
        throw new Problem('request.invalid');
      case 'challenged':
        throw new Problem('auth.device_proof_required', {
          headers: { [CHALLENGE_HEADER]: challengeOf(renewal.challenge, sessionId) },
        });
      case 'renewed':
        void reply.header(CHALLENGE_HEADER, challengeOf(renewal.challenge, sessionId));
        return this.send(reply, renewal.bound, host);
    }
  }
}

const CHALLENGE_HEADER = 'secure-session-challenge';

/** A structured field (RFC 9651): the challenge, and the session that it is for. */
function challengeOf(challenge: string, sessionId: string): string {
  return `"${challenge}";id="${sessionId}"`;
}
