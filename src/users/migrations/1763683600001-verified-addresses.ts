import type { MigrationInterface, QueryRunner } from 'typeorm';

export class VerifiedAddresses1763683600001 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      alter table users
        add column email_verified_at timestamptz(3),
        -- when the owner of the address was last told that another person registers with it
        add column registration_told_at timestamptz(3);
      -- an upgrade must not lock out users who could log in without a verified address
      update users set email_verified_at = created_at where deleted_at is null;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'alter table users drop column email_verified_at, drop column registration_told_at',
    );
  }
}
