import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AdminInvitations1763685200000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      alter table mailed_tokens
        drop constraint mailed_tokens_purpose_check,
        add constraint mailed_tokens_purpose_check
          check (purpose in ('password_reset', 'email_verification', 'email_change', 'admin_invitation'))`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      delete from mailed_tokens where purpose = 'admin_invitation';
      alter table mailed_tokens
        drop constraint mailed_tokens_purpose_check,
        add constraint mailed_tokens_purpose_check
          check (purpose in ('password_reset', 'email_verification', 'email_change'))`);
  }
}
