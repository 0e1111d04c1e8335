import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Mfa1763683800000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- the secret is encrypted, see encrypted-secrets.ts; key_id names the encryption key
      create table totp_factors (
        user_id    uuid primary key references users,
        secret     bytea not null,
        key_id     text not null,
        -- the time step of the last accepted code; this code and older ones are refused
        last_step  bigint not null,
        created_at timestamptz(3) not null
      );

      -- a secret that was shown but not confirmed; it cannot be used to log in
      create table totp_enrolments (
        user_id    uuid primary key references users,
        session_id uuid not null,
        secret     bytea not null,
        key_id     text not null,
        expires_at timestamptz(3) not null,
        created_at timestamptz(3) not null,
        -- a confirmed enrolment is kept for a while: a client that lost the response confirms it again
        confirmed  boolean not null default false
      );

      create table recovery_codes (
        user_id uuid not null references users,
        digest  bytea not null check (octet_length(digest) = 32),
        primary key (user_id, digest)
      );

      -- a login with a right password that still needs the second factor
      create table login_challenges (
        digest          bytea primary key check (octet_length(digest) = 32),
        user_id         uuid not null references users,
        password_digest bytea not null,
        transport       text not null check (transport in ('cookie', 'bearer')),
        device_name     text,
        device_digest   bytea,
        created_at      timestamptz(3) not null,
        expires_at      timestamptz(3) not null,
        -- the outside account of the first step, see SessionOrigin
        origin          jsonb
      );
      create index login_challenges_aged on login_challenges (expires_at);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table login_challenges, recovery_codes, totp_enrolments, totp_factors');
  }
}
