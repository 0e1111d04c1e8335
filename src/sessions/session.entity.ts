import type { JWK } from 'jose';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { EndReason } from './revocation/end-reason.js';
import type { SupersededKeys } from './refresh/superseded-keys.js';
import type { RotationState } from './refresh/rotation.js';

export const TRANSPORTS = ['cookie', 'bearer'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/**
 * One login, from its start to its end. An ended session stays ended; the database refuses any other change of
 * status. The id is a version 7 UUID that contains `createdAt`. So one not-before instant can end all sessions of a
 * user, or of everyone.
 */
@Entity('sessions')
export class Session {
  @PrimaryColumn({ type: 'uuid' })
  id: string;

  @Column({ type: 'uuid', name: 'user_id' })
  userId: string;

  @Column({ type: 'uuid', name: 'device_id' })
  deviceId: string;

  @Column({ type: 'text' })
  transport: Transport;

  @Column({ type: 'text', default: 'active' })
  status: 'active' | 'ended';

  @Column({ type: 'text', name: 'end_reason', nullable: true })
  endReason: EndReason | null;

  @Column({ type: 'timestamptz', precision: 3, name: 'ended_at', nullable: true })
  endedAt: Date | null;

  /** The revocation that ended it; null if it ended by age. */
  @Column({ type: 'bigint', name: 'revocation_seq', nullable: true })
  revocationSeq: string | null;

  /** `ip`, `userAgent` and `country` are those of the last renewal. */
  @Column({ type: 'inet', nullable: true })
  ip: string | null;

  @Column({ type: 'text', name: 'user_agent', nullable: true })
  userAgent: string | null;

  @Column({ type: 'text', nullable: true })
  country: string | null;

  /** The country of the login. */
  @Column({ type: 'text', name: 'origin_country', nullable: true })
  originCountry: string | null;

  @Column({ type: 'real', nullable: true })
  latitude: number | null;

  @Column({ type: 'real', nullable: true })
  longitude: number | null;

  @Column({ type: 'timestamptz', precision: 3, name: 'located_at', nullable: true })
  locatedAt: Date | null;

  @Column({ type: 'text', array: true, default: [] })
  deviations: string[];

  @Column({ type: 'timestamptz', precision: 3, name: 'created_at' })
  createdAt: Date;

  /** At most `LAST_SEEN_RESOLUTION` and one flush behind the last use. */
  @Column({ type: 'timestamptz', precision: 3, name: 'last_seen_at' })
  lastSeenAt: Date;

  /** When the user last proved their identity. A refresh does not change it. */
  @Column({ type: 'timestamptz', precision: 3, name: 'authenticated_at' })
  authenticatedAt: Date;

  /** When a second factor was last proved in this session; null for never. A refresh does not change it. */
  @Column({ type: 'timestamptz', precision: 3, name: 'second_factor_at', nullable: true })
  secondFactorAt: Date | null;

  /** 16 random bytes. The keys of this session's refresh tokens are derived from it. */
  @Column({ type: 'bytea', name: 'refresh_nonce', select: false })
  refreshNonce: Buffer;

  @Column({ type: 'jsonb' })
  rotation: RotationState;

  /** How often the keys have changed, that is the nonce and the rotation. Access tokens contain this number. */
  @Column({ type: 'integer', name: 'key_version', default: 0 })
  keyVersion: number;

  /** The public key of the device that the session is bound to, see `binding/session-binding.ts`. */
  @Column({ type: 'jsonb', name: 'device_key', nullable: true, select: false })
  deviceKey: JWK | null;

  @Column({ type: 'timestamptz', precision: 3, name: 'bound_at', nullable: true })
  boundAt: Date | null;

  /** How often the device key was set or removed. Bound cookies contain this number. */
  @Column({ type: 'integer', name: 'binding_version', default: 0 })
  bindingVersion: number;

  /** How often the device has proved its key. Challenges contain this number. */
  @Column({ type: 'integer', name: 'key_proofs', default: 0 })
  keyProofs: number;

  @Column({ type: 'jsonb', name: 'superseded_keys', nullable: true, select: false })
  supersededKeys: SupersededKeys | null;
}
