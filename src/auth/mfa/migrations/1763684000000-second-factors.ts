import type { MigrationInterface, QueryRunner } from 'typeorm';

export class SecondFactors1763684000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- when a second factor was last proved in this session; null for never
      alter table sessions add column second_factor_at timestamptz(3);

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
        expires_at timestamptz(3) not null
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
        expires_at      timestamptz(3) not null
      );
      create index login_challenges_aged on login_challenges (expires_at);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop table login_challenges, recovery_codes, totp_enrolments, totp_factors;
      alter table sessions drop column second_factor_at;
    `);
  }
}
