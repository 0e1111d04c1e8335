import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Suspicion1763683500000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      alter table sessions
        -- where it began, and where it was last renewed: so are ip and user_agent from now on
        add column origin_country text,
        add column country text,
        add column latitude real,
        add column longitude real,
        add column located_at timestamptz(3),
        -- what was unusual about it and is known by now; what has a question mark is not proved to be them
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
