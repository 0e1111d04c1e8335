import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Payments1763684000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      create table payments (
        id              uuid primary key,
        user_id         uuid not null references users,
        -- the session or the API key
        made_by         uuid not null,
        idempotency_key text not null,
        amount          bigint not null check (amount > 0),
        currency        char(3) not null,
        recipient       text not null,
        created_at      timestamptz(3) not null,
        unique (user_id, idempotency_key)
      );
      create index payments_of_user on payments (user_id, created_at desc);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table payments');
  }
}
