import { Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Problem } from '../../platform/api/problem.js';
import { Clock } from '../../platform/runtime/clock.js';
import '../../platform/logging/security-event-log.js';
import { Settings } from '../../platform/settings/settings.js';
import { viewOf } from '../../sessions/session.schemas.js';
import { SessionBindings } from '../../sessions/binding/session-bindings.service.js';
import type { DeviceKeyUnproven } from '../../sessions/refresh/refresh-refusals.service.js';
import { expiryOf, type SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import type { SessionGrant } from '../../sessions/sessions.service.js';
import { profileOf } from '../../users/user.schemas.js';
import { AccessTokens } from '../tokens/access-tokens.js';
import type { Grant } from './auth.schemas.js';
import { BINDING_PATH } from '../device-binding/bound-cookie-responder.js';
import { proofDelayed } from '../device-binding/delayed-proof.js';
import { clearCookies, MAX_COOKIE_AGE_S, setCookie } from '../guards/cookies.js';

/** Sends a grant to the client on the transport of its session: in cookies or in the body. */
@Injectable()
export class TokenResponder {
  constructor(
    private readonly tokens: AccessTokens,
    private readonly bindings: SessionBindings,
    private readonly clock: Clock,
    private readonly settings: Settings,
  ) {}

  /**
   * Signs an access token and sends the tokens. A browser gets cookies, a bearer client gets them in the body.
   * @returns the body of the answer
   */
  send(reply: FastifyReply, grant: SessionGrant): Grant {
    const { user, session, decidedAt, refreshToken, deviceToken } = grant;
    reply.request.event = {
      event: grant.begins ? 'session_created' : 'session_renewed',
      about: { userId: session.userId, sessionId: session.id },
    };
    const { token, expiresIn } = this.tokens.mint(session, decidedAt);
    const who = {
      user: profileOf(user),
      session: { ...viewOf(session, this.settings, this.clock.now()), current: true },
      accessTokenExpiresIn: expiresIn,
    };
    if (session.transport === 'bearer') {
      return { ...who, accessToken: token, tokenType: 'Bearer', expiresIn, refreshToken, deviceToken };
    }
    const { expiresAt } = expiryOf(session, this.settings);
    const maxAge = Math.floor((expiresAt - this.clock.now()) / 1_000);
    setCookie(reply, 'access', token, this.settings, maxAge);
    setCookie(reply, 'refresh', refreshToken, this.settings, maxAge);
    if (deviceToken) setCookie(reply, 'device', deviceToken, this.settings, MAX_COOKIE_AGE_S);
    this.offerBinding(reply, session);
    return who;
  }

  /**
   * Gives a client that has lost its device key an access token for routes that prove the user's identity. No other route
   * accepts it. A browser that could not prove its key now gets none: it should try again.
   *
   * @returns the problem to answer with
   */
  sendStepUpToken(reply: FastifyReply, problem: DeviceKeyUnproven): Problem {
    const delayed = proofDelayed(reply.request);
    if (delayed) return delayed;
    const { session, decidedAt } = problem;
    const { token } = this.tokens.mint(session, decidedAt, true);
    if (session.transport === 'bearer')
      return new Problem(problem.code, {
        ...problem.options,
        members: { ...problem.options.members, accessToken: token },
      });
    const { expiresAt } = expiryOf(session, this.settings);
    setCookie(reply, 'access', token, this.settings, Math.floor((expiresAt - this.clock.now()) / 1_000));
    return problem;
  }

  /** Browsers without Device Bound Session Credentials ignore the header. */
  private offerBinding(reply: FastifyReply, session: SessionSnapshot): void {
    const challenge = this.bindings.offerFor(session);
    if (challenge !== null)
      void reply.header(
        'secure-session-registration',
        `(ES256 RS256);path="${BINDING_PATH}/register";challenge="${challenge}"`,
      );
  }

  /**
   * Clears the cookies of the session, by name. The device cookie stays: it grants no access, and the next login
   * needs it to recognise the browser. `Clear-Site-Data` would also remove cookies of sibling domains, and drafts and
   * service workers of the page.
   */
  clear(reply: FastifyReply): void {
    clearCookies(reply, ['access', 'refresh'], this.settings);
    if (reply.request.credentials.boundCookie !== null) clearCookies(reply, ['bound'], this.settings);
  }
}
