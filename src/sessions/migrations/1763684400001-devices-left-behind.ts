import type { MigrationInterface, QueryRunner } from 'typeorm';

export class DevicesLeftBehind1763684400001 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- of people whose accounts have been deleted: each goes with the last record of a session that refers to it.
      -- A table of its own, since every session check reads that of the devices: nothing there is to wait for this.
      create table devices_left_behind (device_id uuid primary key);
      insert into devices_left_behind select d.id from devices d join users u on u.id = d.user_id where u.deleted_at is not null;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table devices_left_behind');
  }
}
