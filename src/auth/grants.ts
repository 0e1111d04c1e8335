import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Clock } from '../common/clock.js';
import '../common/request-event.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { viewOf } from '../sessions/session.schemas.js';
import { endsOf } from '../sessions/session-snapshot.js';
import type { SessionGrant } from '../sessions/sessions.service.js';
import { profileOf } from '../users/user.schemas.js';
import { AccessTokens } from './access-tokens.js';
import type { Grant } from './auth.schemas.js';
import { clearCookies, LONGEST_COOKIE_S, setCookie } from './cookies.js';

/** Sends a grant to the client on the transport of its session: in cookies or in the body. */
@Injectable()
export class Grants {
  constructor(
    private readonly tokens: AccessTokens,
    private readonly clock: Clock,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /**
   * Signs an access token and sends the tokens. A browser gets cookies, a bearer client gets them in the body.
   * @returns the body of the answer
   */
  hand(reply: FastifyReply, grant: SessionGrant): Grant {
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
    const secure = this.settings.cookieSecure;
    const { expiresAt } = endsOf(session, this.settings);
    const maxAge = Math.floor((expiresAt - this.clock.now()) / 1_000);
    setCookie(reply, 'access', token, secure, maxAge);
    setCookie(reply, 'refresh', refreshToken, secure, maxAge);
    if (deviceToken) setCookie(reply, 'device', deviceToken, secure, LONGEST_COOKIE_S);
    return who;
  }

  /**
   * Clears the cookies of the session, by name. The device cookie stays: it grants no access, and the next login
   * needs it to recognise the browser. `Clear-Site-Data` would also remove cookies of sibling domains, and drafts and
   * service workers of the page.
   */
  takeBack(reply: FastifyReply): void {
    clearCookies(reply, ['access', 'refresh'], this.settings.cookieSecure);
  }
}
