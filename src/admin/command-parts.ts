import type { INestApplicationContext } from '@nestjs/common';
import { text, uuid } from '../platform/api/schemas.js';
import { canonicalEmail } from '../platform/mail/email-address.js';
import { BootError } from '../platform/settings/boot-error.js';
import type { Receipt } from '../sessions/revocation/receipt.js';
import type { User } from '../users/user.entity.js';
import { UserRepository } from '../users/user.repository.js';

/** Parts of the commands that concern users and sessions. */

export function isUuid(text: string): boolean {
  return uuid.safeParse(text).success;
}

/**
 * The text of `--reason`.
 * @throws BootError if it is too long
 */
export function reasonOf(given: string): string {
  const parsed = text({ max: 500 }).safeParse(given);
  if (!parsed.success) throw new BootError(`--reason ${parsed.error.issues[0]!.message}`);
  return given;
}

/** @throws BootError if the text is no e-mail address */
export function emailOf(text: string): string {
  const email = canonicalEmail(text);
  if (email === null) throw new BootError(`${JSON.stringify(text)} is not an e-mail address`);
  return email;
}

/**
 * The user with this id or e-mail address.
 * @throws BootError if there is none
 */
export async function findUser(services: INestApplicationContext, which: string): Promise<User> {
  const users = services.get(UserRepository);
  const user = isUuid(which) ? await users.find(which) : await users.findByEmail(emailOf(which));
  if (!user) throw new BootError(`no user has the ${isUuid(which) ? 'id' : 'address'} ${which}`);
  return user;
}

/** A receipt for the terminal: what was ended, and from when on each tier refuses. */
export function linesOf(receipt: Receipt): string[] {
  const { seq, status, endedSessions, remainingSessions, sessionTierBy, accessTierBy } = receipt;
  const left =
    remainingSessions === undefined
      ? []
      : [
          `records left to mark as ended: ${remainingSessions}; instances finish them, and refuse them already`,
        ];
  return [
    `revocation ${seq}: ended ${endedSessions} ${endedSessions === 1 ? 'session' : 'sessions'}`,
    ...left,
    status === 'applied'
      ? 'session tier: every instance refuses from now on'
      : `session tier: every instance refuses at the latest from ${sessionTierBy} on`,
    `access tier: every instance refuses at the latest from ${accessTierBy} on`,
  ];
}
