import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Profiles1763684600000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('create table profiles (user_id uuid primary key references users)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table profiles');
  }
}
