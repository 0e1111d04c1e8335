import type { MigrationInterface, QueryRunner } from 'typeorm';

export class PendingActions1763684500000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- requests up to this time that have not taken effect are void, see sessions/pending-actions.service.ts:
      -- on a user, the requests without a session; on a session, its requests before its credentials changed
      alter table users add column pending_not_before timestamptz(3) not null default '-infinity';
      update users set pending_not_before = sessions_not_before where sessions_not_before > '-infinity';
      alter table sessions add column pending_not_before timestamptz(3) not null default '-infinity';

      -- the session that requested a pending change of address is not known: users must request these changes again
      delete from account_jobs where kind = 'email_change';
      alter table account_jobs drop column password_digest, add column session_id uuid;
      alter table account_jobs add constraint address_changes_name_their_session
        check ((kind = 'email_change') = (session_id is not null));
      delete from mailed_tokens where purpose = 'email_change';
      alter table mailed_tokens add column session_id uuid;
      alter table mailed_tokens add constraint address_changes_name_their_session
        check ((purpose = 'email_change') = (session_id is not null));
      comment on column mailed_tokens.created_at is 'when it was requested, not when its mail was written';
      delete from mails where template = 'confirm_email_change';
      alter table mails
        add column user_id uuid,
        add column session_id uuid,
        add column requested_at timestamptz(3);
      delete from totp_enrolments;
      alter table totp_enrolments add column created_at timestamptz(3) not null;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      alter table totp_enrolments drop column created_at;
      alter table mails drop column user_id, drop column session_id, drop column requested_at;
      alter table mailed_tokens drop column session_id;
      comment on column mailed_tokens.created_at is null;
      alter table account_jobs drop column session_id, add column password_digest bytea;
      alter table sessions drop column pending_not_before;
      alter table users drop column pending_not_before;
    `);
  }
}
