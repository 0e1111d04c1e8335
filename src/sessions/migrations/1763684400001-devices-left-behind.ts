import type { MigrationInterface, QueryRunner } from 'typeorm';

export class DevicesLeftBehind1763684400001 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- devices of deleted users: each is removed together with the last session record that refers to it
      -- A separate table, because every session check reads the devices table and must not wait for this.
      create table devices_left_behind (device_id uuid primary key);
      insert into devices_left_behind select d.id from devices d join users u on u.id = d.user_id where u.deleted_at is not null;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table devices_left_behind');
  }
}
