import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Role } from '../roles.js';

@Entity('users')
export class User {
  @PrimaryColumn({ type: 'uuid' })
  id: string;

  /** In canonical spelling, see {@link canonicalEmail}; null after the account was deleted. */
  @Column({ type: 'text', nullable: true })
  email: string | null;

  /** When the user proved access to the mailbox; null if the address is not verified. */
  @Column({ type: 'timestamptz', precision: 3, name: 'email_verified_at', nullable: true })
  emailVerifiedAt: Date | null;

  @Column({ type: 'text', name: 'display_name', nullable: true })
  displayName: string | null;

  /** A PHC string; null for a user without a password, and after the account was deleted. */
  @Column({ type: 'text', name: 'password_hash', nullable: true, select: false })
  passwordHash: string | null;

  @Column({ type: 'text', array: true })
  roles: Role[];

  @Column({ type: 'timestamptz', precision: 3, name: 'banned_at', nullable: true })
  bannedAt: Date | null;

  /** The end of the ban; null if the ban has no end. */
  @Column({ type: 'timestamptz', precision: 3, name: 'banned_until', nullable: true })
  bannedUntil: Date | null;

  @Column({ type: 'text', name: 'ban_reason', nullable: true })
  banReason: string | null;

  @Column({ type: 'timestamptz', precision: 3, name: 'deleted_at', nullable: true })
  deletedAt: Date | null;

  @Column({ type: 'timestamptz', precision: 3, name: 'created_at' })
  createdAt: Date;
}

export interface NewUser {
  /** A random UUID when absent. */
  id?: string;
  email: string;
  /** Null for a user who signs in with an outside account. */
  passwordHash: string | null;
  displayName?: string | null;
  roles?: Role[];
  emailVerifiedAt?: Date | null;
  createdAt: Date;
}

/** A user at login: the password hash, and whether the account may log in. */
export type LoginUser = Pick<
  User,
  'id' | 'passwordHash' | 'emailVerifiedAt' | 'bannedAt' | 'bannedUntil' | 'deletedAt'
>;

/** A ban as stored. */
export type Ban = Pick<User, 'bannedAt' | 'bannedUntil' | 'banReason'>;

/** Whether the account may be used at `now` (milliseconds since the epoch). It may not if it is deleted or banned. */
export function isUsable(user: Pick<User, 'deletedAt' | 'bannedAt' | 'bannedUntil'>, now: number): boolean {
  return user.deletedAt === null && !isBanned(user, now);
}

/** Whether a ban is in force at `now` (milliseconds since the epoch). */
export function isBanned(user: Pick<User, 'bannedAt' | 'bannedUntil'>, now: number): boolean {
  return user.bannedAt !== null && (user.bannedUntil === null || user.bannedUntil.getTime() > now);
}
