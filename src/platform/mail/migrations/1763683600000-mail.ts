import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Mail1763683600000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- mails to send, and mails that were given up
      create table mails (
        id              bigint generated always as identity primary key,
        recipient       text not null,
        -- the template and its data; never a secret
        template        text not null,
        data            jsonb not null,
        created_at      timestamptz(3) not null,
        attempts        integer not null default 0,
        next_attempt_at timestamptz(3) not null,
        given_up_at     timestamptz(3),
        -- the action that the link completes; null without a link
        user_id         uuid,
        session_id      uuid,
        requested_at    timestamptz(3)
      );
      create index mails_to_send on mails (next_attempt_at) where given_up_at is null;
      -- housekeeping removes mails given up long ago, the deletion of an account removes the mails to its owner
      create index mails_given_up on mails (given_up_at) where given_up_at is not null;
      create index mails_of_recipient on mails (recipient);

      -- purpose of a mailed token; the token is derived from the id and a secret outside of the database
      create table mailed_tokens (
        id         uuid primary key,
        user_id    uuid not null references users,
        purpose    text not null check (purpose in ('password_reset', 'email_verification', 'email_change')),
        -- the mailbox that the token proves
        email      text not null,
        created_at timestamptz(3) not null,
        expires_at timestamptz(3) not null,
        -- the session that requested a change of address
        session_id uuid,
        -- a used token that proves an address stays until it expires: following the link again is no error
        used_at    timestamptz(3),
        constraint mailed_tokens_email_is_canonical check (is_canonical_email(email)),
        constraint address_changes_name_their_session check ((purpose = 'email_change') = (session_id is not null))
      );
      comment on column mailed_tokens.created_at is 'when it was requested, not when its mail was written';
      create index mailed_tokens_by_end on mailed_tokens (expires_at);
      -- a new token replaces the previous one
      create unique index mailed_tokens_unused on mailed_tokens (user_id, purpose) where used_at is null;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table mailed_tokens, mails');
  }
}
