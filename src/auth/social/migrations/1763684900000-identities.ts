import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Identities1763684900000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- the outside accounts with which users sign in
      create table identities (
        id           uuid primary key,
        user_id      uuid not null references users,
        -- together they name an account for ever (OpenID Connect Core 5.7); an address does not
        issuer       text not null,
        subject      text not null,
        provider     text not null,
        -- as the provider has told it last, for people
        email        text,
        created_at   timestamptz(3) not null,
        last_used_at timestamptz(3) not null,
        unique (issuer, subject)
      );
      create index identities_of_user on identities (user_id);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table identities');
  }
}
