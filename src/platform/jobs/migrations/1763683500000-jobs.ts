import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Jobs1763683500000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- scheduled jobs, each run by one instance, and when it last started: see platform/jobs/jobs.ts
      create table scheduled_jobs (
        name     text primary key,
        begun_at timestamptz(3) not null
      );
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table scheduled_jobs');
  }
}
