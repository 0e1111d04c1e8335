import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('payments')
export class Payment {
  @PrimaryColumn({ type: 'uuid' })
  id: string;

  @Column({ type: 'uuid', name: 'user_id' })
  userId: string;

  @Column({ type: 'uuid', name: 'made_by' })
  madeBy: string;

  /**
   * The client chooses this key, which is unique for each user. If the client sends a payment twice, it is made once.
   */
  @Column({ type: 'text', name: 'idempotency_key' })
  idempotencyKey: string;

  /** In minor units. The driver returns a bigint as text. */
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
