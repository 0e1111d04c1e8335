import type { MigrationInterface, QueryRunner } from 'typeorm';

export class ConfirmedEnrolments1763684519000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- a confirmed enrolment is kept for a while: a client that lost the response confirms it again
      alter table totp_enrolments add column confirmed boolean not null default false;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table totp_enrolments drop column confirmed');
  }
}
