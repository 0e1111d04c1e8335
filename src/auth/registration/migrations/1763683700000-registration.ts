import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Registration1763683700000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- jobs about an address that run after the answer, whether or not an account has the address
      create table account_jobs (
        id         bigint generated always as identity primary key,
        kind       text not null,
        email      text not null,
        user_id    uuid references users,
        context    jsonb not null,
        created_at timestamptz(3) not null,
        due_at     timestamptz(3) not null,
        -- the session that requested a change of address
        session_id uuid,
        constraint account_jobs_email_is_canonical check (is_canonical_email(email)),
        constraint address_changes_name_their_session check ((kind = 'email_change') = (session_id is not null))
      );
      create index account_jobs_due on account_jobs (due_at);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table account_jobs');
  }
}
