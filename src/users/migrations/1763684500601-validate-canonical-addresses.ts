import type { MigrationInterface, QueryRunner } from 'typeorm';

/** In a transaction of its own, so that no instance waits while the tables are read. */
export class ValidateCanonicalAddresses1763684500601 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const table of ['users', 'mailed_tokens', 'account_errands'])
      await queryRunner.query(`alter table ${table} validate constraint ${table}_email_is_canonical`);
  }

  async down(): Promise<void> {
    // A constraint that is valid does not become invalid again.
  }
}
