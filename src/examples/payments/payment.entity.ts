import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('payments')
export class Payment {
  @PrimaryColumn({ type: 'uuid' })
  id: string;

  @Column({ type: 'uuid', name: 'user_id' })
  userId: string;

  @Column({ type: 'uuid', name: 'session_id' })
  sessionId: string;

  /** Chosen by the client, unique per user: a payment that is sent twice is made once. */
  @Column({ type: 'text', name: 'idempotency_key' })
  idempotencyKey: string;

  /** Minor units; the driver hands a bigint over as text. */
  @Column({ type: 'bigint' })
  amount: string;

  /** ISO 4217. */
  @Column({ type: 'char', length: 3 })
  currency: string;

  @Column({ type: 'text' })
  recipient: string;

  @Column({ type: 'timestamptz', precision: 3, name: 'created_at' })
  createdAt: Date;
}
