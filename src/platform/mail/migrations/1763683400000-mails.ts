import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Mails1763683400000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- mails to send, and mails that were given up
      create table mails (
        id              bigint generated always as identity primary key,
        recipient       text not null,
        -- the template and its data; never a secret
        template        text not null,
        data            jsonb not null,
        created_at      timestamptz(3) not null,
        attempts        integer not null default 0,
        next_attempt_at timestamptz(3) not null,
        given_up_at     timestamptz(3)
      );
      create index mails_to_send on mails (next_attempt_at) where given_up_at is null;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table mails');
  }
}
