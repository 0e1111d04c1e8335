import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A separate transaction, so that no instance waits while PostgreSQL reads the tables. */
export class ValidateCanonicalAddresses1763684500601 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    for (const table of ['users', 'mailed_tokens', 'account_jobs'])
      await queryRunner.query(`alter table ${table} validate constraint ${table}_email_is_canonical`);
  }

  async down(): Promise<void> {
    // Nothing to do: a valid constraint does not become invalid again.
  }
}
