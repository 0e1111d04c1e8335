import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import type { Opening } from '../sessions/new-session.js';
import { SessionsService, type SessionGrant, type StillProven } from '../sessions/sessions.service.js';
import type { User } from '../users/user.entity.js';
import type { Credentials } from './credentials.js';
import { LogoutService } from './logout.service.js';

/** Lets somebody in who has proved all that there is to prove: a new session, in the place of what was in the same cookie jar. */
@Injectable()
export class Entrance {
  constructor(
    private readonly sessions: SessionsService,
    private readonly logouts: LogoutService,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /** Whoever they are: not before the address is verified, where it has to be. */
  admits({ emailVerifiedAt }: Pick<User, 'emailVerifiedAt'>): boolean {
    return this.settings.emailVerification === 'off' || emailVerifiedAt !== null;
  }

  /** @returns null when what was proved has changed meanwhile, and for whom it does not admit */
  async open(
    opening: Omit<Opening, 'replaces'>,
    presented: Credentials,
    stillProven: StillProven,
  ): Promise<SessionGrant | null> {
    const { userId, transport, origin } = opening;
    const inJar = transport === 'cookie' ? await this.logouts.sessionInJar(presented) : null;
    const replaces = inJar?.userId === userId ? inJar.sessionId : undefined;
    const grant = await this.sessions.open(
      { ...opening, replaces },
      (user, tx, now) => this.admits(user) && stillProven(user, tx, now),
    );
    if (grant && inJar && inJar.userId !== userId) await this.logouts.end(inJar, origin);
    return grant;
  }
}
