import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A client installation of one user. The server recognises it by its device token. */
@Entity('devices')
export class Device {
  @PrimaryColumn({ type: 'uuid' })
  id: string;

  @Column({ type: 'uuid', name: 'user_id' })
  userId: string;

  /** SHA-256 of the token: 256 random bits need no slow hash (ASVS 6.5.2). */
  @Column({ type: 'bytea', name: 'token_digest', select: false })
  tokenDigest: Buffer;

  @Column({ type: 'text' })
  name: string;

  @Column({ type: 'text', nullable: true })
  browser: string | null;

  @Column({ type: 'text', nullable: true })
  os: string | null;

  @Column({ type: 'timestamptz', precision: 3, name: 'first_seen_at' })
  firstSeenAt: Date;

  @Column({ type: 'timestamptz', precision: 3, name: 'last_seen_at' })
  lastSeenAt: Date;
}
