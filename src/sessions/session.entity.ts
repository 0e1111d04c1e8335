import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { EndReason } from './end-reason.js';
import type { FormerKeys } from './former-keys.js';
import type { RotationState } from './rotation.js';

export const TRANSPORTS = ['cookie', 'bearer'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/**
 * One login, from then to its end. Once `ended` it stays so; the database refuses anything else.
 * Its id is a version 7 UUID that carries `createdAt`, so that a whole user's or everybody's
 * sessions can be refused by one not-before instant.
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

  /** The revocation that ended it; null for one that died of age. */
  @Column({ type: 'bigint', name: 'revocation_seq', nullable: true })
  revocationSeq: string | null;

  /** With the next two: where it was last renewed. */
  @Column({ type: 'inet', nullable: true })
  ip: string | null;

  @Column({ type: 'text', name: 'user_agent', nullable: true })
  userAgent: string | null;

  @Column({ type: 'text', nullable: true })
  country: string | null;

  /** Where it began. */
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

  /** Behind by at most `LAST_SEEN_RESOLUTION` and one flush. */
  @Column({ type: 'timestamptz', precision: 3, name: 'last_seen_at' })
  lastSeenAt: Date;

  /** When the person last proved who they are; a refresh never moves it. */
  @Column({ type: 'timestamptz', precision: 3, name: 'authenticated_at' })
  authenticatedAt: Date;

  /** When a second factor was last proved in it, if ever; a refresh never moves it. */
  @Column({ type: 'timestamptz', precision: 3, name: 'second_factor_at', nullable: true })
  secondFactorAt: Date | null;

  /** Random, 16 bytes; the key of this session's refresh tokens is derived from it. */
  @Column({ type: 'bytea', name: 'refresh_nonce', select: false })
  refreshNonce: Buffer;

  @Column({ type: 'jsonb' })
  rotation: RotationState;

  /** How often the two above were made anew; access tokens name it. */
  @Column({ type: 'integer', default: 0 })
  edition: number;

  @Column({ type: 'jsonb', name: 'former_keys', nullable: true, select: false })
  formerKeys: FormerKeys | null;
}
