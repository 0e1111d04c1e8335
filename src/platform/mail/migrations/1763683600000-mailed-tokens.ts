import type { MigrationInterface, QueryRunner } from 'typeorm';

export class MailedTokens1763683600000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- purpose of a mailed token; the token is derived from the id and a secret outside of the database
      create table mailed_tokens (
        id         uuid primary key,
        user_id    uuid not null references users,
        purpose    text not null check (purpose in ('password_reset', 'email_verification', 'email_change')),
        -- the mailbox that the token proves
        email      text not null,
        created_at timestamptz(3) not null,
        expires_at timestamptz(3) not null,
        -- a new token replaces the previous one
        unique (user_id, purpose)
      );
      create index mailed_tokens_by_end on mailed_tokens (expires_at);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table mailed_tokens');
  }
}
