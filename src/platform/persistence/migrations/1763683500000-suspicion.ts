import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Suspicion1763683500000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      alter table sessions
        -- place of the login, and of the last refresh; from now on ip and user_agent are of the last refresh too
        add column origin_country text,
        add column country text,
        add column latitude real,
        add column longitude real,
        add column located_at timestamptz(3),
        -- risk signals already reported; a question mark means that the user has not confirmed the signal
        add column deviations text[] not null default '{}';
      create index sessions_of_device on sessions (device_id);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop index sessions_of_device;
      alter table sessions drop column origin_country, drop column country, drop column latitude,
        drop column longitude, drop column located_at, drop column deviations;
    `);
  }
}
