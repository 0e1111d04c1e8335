import type { MigrationInterface, QueryRunner } from 'typeorm';

export class DevicesLeftBehind1763684400001 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- its owner's account has been deleted: it goes with the last record of a session that refers to it
      alter table devices add column left_behind boolean not null default false;
      update devices set left_behind = true where user_id in (select id from users where deleted_at is not null);
      -- what housekeeping looks through each time: nearly always empty
      create index devices_left_behind on devices (id) where left_behind;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table devices drop column left_behind');
  }
}
