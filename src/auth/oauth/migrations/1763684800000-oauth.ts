import type { MigrationInterface, QueryRunner } from 'typeorm';

export class OAuth1763684800000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      create table oauth_grants (
        id             uuid primary key,
        user_id        uuid not null references users,
        client_id      text not null,
        -- as the user has read it on the consent page
        client_name    text not null,
        scopes         text[] not null,
        -- the session that it ends with; null for a grant with offline_access
        session_id     uuid,
        created_at     timestamptz(3) not null,
        expires_at     timestamptz(3) not null,
        last_used_at   timestamptz(3),
        status         text not null default 'active' check (status in ('active', 'ended')),
        end_reason     text,
        ended_at       timestamptz(3),
        revocation_seq bigint,
        constraint ended_grants_say_why
          check ((status = 'ended') = (end_reason is not null and ended_at is not null))
      );
      create index oauth_grants_of_user on oauth_grants (user_id, created_at desc);
      -- retention reads the grants in the order of their ends
      create index oauth_grants_over on oauth_grants (coalesce(ended_at, expires_at));

      -- an ended grant never becomes active again, regardless of the role that tries
      create function refuse_grant_revival() returns trigger language plpgsql as $$
        begin raise exception 'grant % has ended and stays ended', old.id; end $$;
      create trigger oauth_grants_stay_ended before update of status on oauth_grants
        for each row when (old.status = 'ended' and new.status <> 'ended') execute function refuse_grant_revival();

      -- what the provider library stores: authorization codes, refresh tokens, interactions
      create table oauth_records (
        model       text not null,
        -- SHA-256 of the secret that names it
        digest      bytea not null check (octet_length(digest) = 32),
        grant_id    uuid references oauth_grants on delete cascade,
        payload     jsonb not null,
        consumed_at timestamptz(3),
        expires_at  timestamptz(3) not null,
        primary key (model, digest)
      );
      create index oauth_records_of_grant on oauth_records (grant_id) where grant_id is not null;
      create index oauth_records_over on oauth_records (expires_at);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop table oauth_records, oauth_grants;
      drop function refuse_grant_revival;
    `);
  }
}
