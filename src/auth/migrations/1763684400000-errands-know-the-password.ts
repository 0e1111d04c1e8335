import type { MigrationInterface, QueryRunner } from 'typeorm';

export class ErrandsKnowThePassword1763684400000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- digest of the user's password hash at the request of an address change: a new password cancels the change
      alter table account_jobs add column password_digest bytea;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table account_jobs drop column password_digest');
  }
}
