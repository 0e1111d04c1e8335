import type { MigrationInterface, QueryRunner } from 'typeorm';

export class ErrandsKnowThePassword1763684400000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- of what the user's password hash was when a change of address was asked for: another password calls it off
      alter table account_errands add column password_digest bytea;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table account_errands drop column password_digest');
  }
}
