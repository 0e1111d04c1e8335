import type { MigrationInterface, QueryRunner } from 'typeorm';

export class ApiKeys1763684700000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      create table api_keys (
        id                  uuid primary key,
        user_id             uuid not null references users,
        name                text not null,
        scopes              text[] not null,
        -- addresses and networks that may use the key; empty for any
        networks            text[] not null default '{}',
        -- null: as API_KEY_REQUESTS_PER_MINUTE says
        requests_per_minute integer check (requests_per_minute > 0),
        -- SHA-256 of the whole key
        digest              bytea not null check (octet_length(digest) = 32),
        -- how often the key was rotated
        rotation            integer not null default 0,
        rotated_at          timestamptz(3),
        -- the secret before the last rotation, which is accepted until then
        previous_digest     bytea check (octet_length(previous_digest) = 32),
        previous_until      timestamptz(3),
        created_at          timestamptz(3) not null,
        expires_at          timestamptz(3),
        status              text not null default 'active' check (status in ('active', 'ended')),
        end_reason          text,
        ended_at            timestamptz(3),
        revocation_seq      bigint,
        constraint ended_keys_say_why
          check ((status = 'ended') = (end_reason is not null and ended_at is not null)),
        constraint previous_secrets_have_an_end
          check ((previous_digest is null) = (previous_until is null))
      );
      create index api_keys_of_user on api_keys (user_id, created_at desc);
      -- retention reads the keys in the order of their ends
      create index api_keys_over on api_keys (coalesce(ended_at, expires_at));

      -- an ended key never becomes active again, regardless of the role that tries
      create function refuse_key_revival() returns trigger language plpgsql as $$
        begin raise exception 'API key % has ended and stays ended', old.id; end $$;
      create trigger api_keys_stay_ended before update of status on api_keys
        for each row when (old.status = 'ended' and new.status <> 'ended') execute function refuse_key_revival();

      -- from where each key was used
      create table api_key_uses (
        key_id        uuid not null references api_keys on delete cascade,
        network       text not null,
        -- that of the secret that was used last
        rotation      integer not null,
        first_used_at timestamptz(3) not null,
        last_used_at  timestamptz(3) not null,
        primary key (key_id, network)
      );
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop table api_key_uses, api_keys;
      drop function refuse_key_revival;
    `);
  }
}
