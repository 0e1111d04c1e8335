import type { MigrationInterface, QueryRunner } from 'typeorm';

export class MailsThatGo1763684400002 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- housekeeping removes mails given up long ago, the deletion of an account removes the mails to its owner
      create index mails_given_up on mails (given_up_at) where given_up_at is not null;
      create index mails_of_recipient on mails (recipient);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop index mails_of_recipient, mails_given_up');
  }
}
