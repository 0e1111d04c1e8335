import { randomBytes, randomUUID } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

/** The only source of randomness: the CSPRNG of the operating system. */
export const random = {
  bytes: (length: number): Buffer => randomBytes(length),
  /** 256 bits in base64url, for bearer secrets. */
  secret: (): string => randomBytes(32).toString('base64url'),
  uuid: (): string => randomUUID(),
  /** A UUID with `epochMs` in its first 48 bits, see {@link instantOf} (RFC 9562 5.7). */
  uuidAt: (instant: number): string => uuidv7({ msecs: instant }),
};

/** The greatest UUID with this instant: no UUID that `uuidAt` made up to then is greater. */
export function lastUuidOf(instant: number): string {
  const prefix = instant.toString(16).padStart(12, '0');
  return `${prefix.slice(0, 8)}-${prefix.slice(8)}-ffff-ffff-ffffffffffff`;
}

/** The instant of a version 7 UUID, in milliseconds since the epoch (RFC 9562 5.7). */
export function instantOf(uuid: string): number {
  return parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}
