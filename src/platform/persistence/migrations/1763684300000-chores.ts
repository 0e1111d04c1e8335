import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Chores1763684300000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- scheduled jobs, each run by one instance, and when it last started: see database/cluster-scheduler.ts
      create table scheduled_jobs (
        name     text primary key,
        begun_at timestamptz(3) not null
      );

      -- housekeeping checks each session older than the admin limit for an admin
      create index users_admins on users (id) where 'admin' = any(roles);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop index users_admins; drop table scheduled_jobs');
  }
}
