import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import type { Opening } from '../sessions/new-session.js';
import { SessionsService, type SessionGrant, type StillProven } from '../sessions/sessions.service.js';
import type { User } from '../users/user.entity.js';
import type { Credentials } from './credentials.js';
import { LogoutService } from './logout.service.js';

/** Opens a new session after all proofs of a login. It replaces the session in the same cookie jar. */
@Injectable()
export class Entrance {
  constructor(
    private readonly sessions: SessionsService,
    private readonly logouts: LogoutService,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /** Whether this user may log in. An unverified address is refused if the settings require verification. */
  admits({ emailVerifiedAt }: Pick<User, 'emailVerifiedAt'>): boolean {
    return this.settings.emailVerification === 'off' || emailVerifiedAt !== null;
  }

  /** @returns null if a proof is no longer valid, or if the user may not log in */
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
