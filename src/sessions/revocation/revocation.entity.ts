import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * - `token`: one access token, by its `jti`; its session goes on
 * - `session`: the listed sessions, or a credential of another kind, such as an API key
 * - `user`: every session of a user that was created at or before `notBefore`. The first subject is the user; the
 *   others are credentials of other kinds that end as well
 * - `everyone`: every session that was created at or before `notBefore`
 * - `stale`: ends nothing, but cached entries of the listed sessions and other credentials are out of date
 */
export type RevocationKind = 'token' | 'session' | 'user' | 'everyone' | 'stale';

/** One revocation. The table is the log that every instance reads, and the outbox for the session cache. */
@Entity('revocations')
export class Revocation {
  @PrimaryColumn({ type: 'bigint', generated: 'identity' })
  seq: string;

  @Column({ type: 'text' })
  kind: RevocationKind;

  @Column({ type: 'uuid', array: true })
  subjects: string[];

  @Column({ type: 'text', name: 'token_id', nullable: true })
  tokenId: string | null;

  /** An `EndReason`, or that of another kind of credential; for kind `stale`, the name of the change. */
  @Column({ type: 'text' })
  reason: string;

  @Column({ type: 'timestamptz', precision: 3, name: 'not_before', nullable: true })
  notBefore: Date | null;

  /** For kind `everyone`, the number of records that a sweep has ended so far. */
  @Column({ type: 'integer', name: 'ended_sessions' })
  endedSessions: number;

  @Column({ type: 'timestamptz', precision: 3, name: 'created_at' })
  createdAt: Date;

  /** When the last access token that it concerns has expired. Then instances forget the revocation. */
  @Column({ type: 'timestamptz', precision: 3, name: 'expires_at' })
  expiresAt: Date;

  /** When the session cache acknowledged the revocation. */
  @Column({ type: 'timestamptz', precision: 3, name: 'applied_at', nullable: true })
  appliedAt: Date | null;
}
