import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Samples1700000000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      create table samples_name (
        id         uuid primary key,
        user_id    uuid not null references users,
        title      text not null,
        created_at timestamptz(3) not null
      );
      create index samples_name_of_user on samples_name (user_id, created_at desc);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table samples_name');
  }
}
