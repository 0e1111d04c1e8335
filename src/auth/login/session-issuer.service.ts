import { Injectable } from '@nestjs/common';
import { Settings } from '../../platform/settings/settings.js';
import { SessionBindings } from '../../sessions/binding/session-bindings.service.js';
import type { SessionInput } from '../../sessions/session-factory.js';
import { SessionsService, type SessionGrant, type ProofRecheck } from '../../sessions/sessions.service.js';
import type { User } from '../../users/user.entity.js';
import type { Credentials } from '../guards/credentials.js';
import { LogoutService } from './logout.service.js';

/** Opens a new session after all proofs of a login. It replaces the session in the same cookie jar. */
@Injectable()
export class SessionIssuer {
  constructor(
    private readonly sessions: SessionsService,
    private readonly logouts: LogoutService,
    private readonly bindings: SessionBindings,
    private readonly settings: Settings,
  ) {}

  /** Whether this user may log in. An unverified address is refused if the settings require verification. */
  admits({ emailVerifiedAt }: Pick<User, 'emailVerifiedAt'>): boolean {
    return this.settings.emailVerification === 'off' || emailVerifiedAt !== null;
  }

  /** @returns null if a proof is no longer valid, or if the user may not log in */
  async issue(
    opening: Omit<SessionInput, 'replaces' | 'deviceKey'>,
    credentials: Credentials,
    recheck: ProofRecheck,
  ): Promise<SessionGrant | null> {
    const { userId, transport, context } = opening;
    const inJar = transport === 'cookie' ? await this.logouts.sessionInJar(credentials) : null;
    const replaces = inJar?.userId === userId ? inJar.sessionId : undefined;
    const grant = await this.sessions.create(
      { ...opening, deviceKey: this.bindings.keyToBind(transport, credentials.keyProof), replaces },
      (user, tx, now) => this.admits(user) && recheck(user, tx, now),
    );
    if (grant && inJar && inJar.userId !== userId) await this.logouts.end(inJar, context);
    return grant;
  }
}
