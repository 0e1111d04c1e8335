import type { MigrationInterface, QueryRunner } from 'typeorm';

export class MailsThatGo1763684400002 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- housekeeping removes what was given up long ago, the end of an account what was for its owner
      create index mails_given_up on mails (given_up_at) where given_up_at is not null;
      create index mails_of_recipient on mails (recipient);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop index mails_of_recipient, mails_given_up');
  }
}
