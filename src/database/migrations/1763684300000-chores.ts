import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Chores1763684300000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- what one instance does for all of them, and when one last began: see database/chores.ts
      create table chores (
        name     text primary key,
        begun_at timestamptz(3) not null
      );

      -- housekeeping asks for each session that is older than an admin's may be whether it is one
      create index users_admins on users (id) where 'admin' = any(roles);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop index users_admins; drop table chores');
  }
}
