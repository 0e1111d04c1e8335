import type { MigrationInterface, QueryRunner } from 'typeorm';

export class MailedTokens1763683600000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- what a mail has been sent for; the token itself is derived from the id and a secret that is not here
      create table mailed_tokens (
        id         uuid primary key,
        user_id    uuid not null references users,
        purpose    text not null check (purpose in ('password_reset', 'email_verification', 'email_change')),
        -- the mailbox that it proves
        email      text not null,
        created_at timestamptz(3) not null,
        expires_at timestamptz(3) not null,
        -- a new one takes the place of the one before
        unique (user_id, purpose)
      );
      create index mailed_tokens_by_end on mailed_tokens (expires_at);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table mailed_tokens');
  }
}
