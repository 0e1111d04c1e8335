import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * - `token`: one access token, by its `jti`; the session named lives on
 * - `session`: the sessions named
 * - `user`: every session of a user that was created at or before `notBefore`
 * - `everyone`: every session that was created at or before `notBefore`
 * - `stale`: nothing ends, but what caches hold of the sessions named is out of date
 */
export type RevocationKind = 'token' | 'session' | 'user' | 'everyone' | 'stale';

/** One act of revocation: the log that every instance follows, and the outbox of what caches must be told. */
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

  /** An `EndReason`; of a `stale` one, what has changed. */
  @Column({ type: 'text' })
  reason: string;

  @Column({ type: 'timestamptz', precision: 3, name: 'not_before', nullable: true })
  notBefore: Date | null;

  /** Of `everyone` those that a sweep has reached so far. */
  @Column({ type: 'integer', name: 'ended_sessions' })
  endedSessions: number;

  @Column({ type: 'timestamptz', precision: 3, name: 'created_at' })
  createdAt: Date;

  /** When the last access token that it concerns is dead; then instances forget it. */
  @Column({ type: 'timestamptz', precision: 3, name: 'expires_at' })
  expiresAt: Date;

  /** When the caches had been told. */
  @Column({ type: 'timestamptz', precision: 3, name: 'applied_at', nullable: true })
  appliedAt: Date | null;
}
