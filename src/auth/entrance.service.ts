import { Injectable } from '@nestjs/common';
import {
  SessionsService,
  type Opening,
  type SessionGrant,
  type StillProven,
} from '../sessions/sessions.service.js';
import type { Credentials } from './credentials.js';
import { LogoutService } from './logout.service.js';

/** Lets somebody in who has proved all that there is to prove: a new session, in the place of what was in the same cookie jar. */
@Injectable()
export class Entrance {
  constructor(
    private readonly sessions: SessionsService,
    private readonly logouts: LogoutService,
  ) {}

  /** @returns null when what was proved has changed meanwhile */
  async open(
    opening: Omit<Opening, 'replaces'>,
    presented: Credentials,
    stillProven: StillProven,
  ): Promise<SessionGrant | null> {
    const { userId, transport, origin } = opening;
    const inJar = transport === 'cookie' ? await this.logouts.sessionInJar(presented) : null;
    const replaces = inJar?.userId === userId ? inJar.sessionId : undefined;
    const grant = await this.sessions.open({ ...opening, replaces }, stillProven);
    if (grant && inJar && inJar.userId !== userId) await this.logouts.end(inJar, origin);
    return grant;
  }
}
