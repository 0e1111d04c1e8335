import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Users1763683200000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- the grammar of platform/mail/email-address.ts
      create function is_canonical_email(address text) returns boolean language sql immutable parallel safe as $$
        select octet_length(address) <= 254 and position('@' in address) <= 65 and address ~
          ('^[a-z0-9!#$%&''*+/=?^_\`{|}~-]+(\\.[a-z0-9!#$%&''*+/=?^_\`{|}~-]+)*'
           '@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$')
      $$;

      create table users (
        id                   uuid primary key,
        email                text,
        display_name         text,
        password_hash        text,
        roles                text[] not null default '{user}',
        banned_at            timestamptz(3),
        banned_until         timestamptz(3),
        ban_reason           text,
        deleted_at           timestamptz(3),
        -- all sessions of the user created up to this time have ended; a login never creates one at or before it
        sessions_not_before  timestamptz(3) not null default '-infinity',
        created_at           timestamptz(3) not null,
        email_verified_at    timestamptz(3),
        -- when the owner of the address was last told that another person registers with it
        registration_told_at timestamptz(3),
        -- requests without a session up to this time that have not taken effect are void,
        -- see sessions/pending-actions/pending-actions.service.ts
        pending_not_before   timestamptz(3) not null default '-infinity',
        -- a user who signs in with an outside account may have no password
        constraint living_users_have_an_address check (deleted_at is not null or email is not null),
        constraint users_email_is_canonical check (is_canonical_email(email))
      );
      create unique index users_email_key on users (email);
      -- the holders of a role: for the last one, and for the shorter lifetimes of their sessions. Few users are in it;
      -- a query repeats the condition
      create index users_with_roles on users using gin (roles) where roles <> '{user}';
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop table users;
      drop function is_canonical_email;
    `);
  }
}
