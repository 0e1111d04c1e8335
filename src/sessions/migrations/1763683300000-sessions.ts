import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Sessions1763683300000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      create table devices (
        id            uuid primary key,
        user_id       uuid not null references users,
        token_digest  bytea not null check (octet_length(token_digest) = 32),
        name          text not null,
        browser       text,
        os            text,
        first_seen_at timestamptz(3) not null,
        last_seen_at  timestamptz(3) not null,
        unique (user_id, token_digest)
      );

      -- devices of deleted users: each is removed together with the last session record that refers to it
      -- A separate table, because every session check reads the devices table and must not wait for this.
      create table devices_left_behind (device_id uuid primary key);

      create table sessions (
        id                 uuid primary key,
        user_id            uuid not null references users,
        device_id          uuid not null references devices,
        transport          text not null check (transport in ('cookie', 'bearer')),
        status             text not null default 'active' check (status in ('active', 'ended')),
        end_reason         text,
        ended_at           timestamptz(3),
        revocation_seq     bigint,
        -- of the login, or of the last refresh
        ip                 inet,
        user_agent         text,
        created_at         timestamptz(3) not null,
        last_seen_at       timestamptz(3) not null,
        authenticated_at   timestamptz(3) not null,
        -- source of the refresh tokens, and the state of their rotation: see sessions/refresh/rotation.ts
        refresh_nonce      bytea not null check (octet_length(refresh_nonce) = 16),
        rotation           jsonb not null,
        -- place of the login, and of the last refresh
        origin_country     text,
        country            text,
        latitude           real,
        longitude          real,
        located_at         timestamptz(3),
        -- risk signals already reported; a question mark means that the user has not confirmed the signal
        deviations         text[] not null default '{}',
        -- when a second factor was last proved in this session; null for never
        second_factor_at   timestamptz(3),
        -- how often the session's keys have changed; access tokens contain this number
        key_version        integer not null default 0,
        -- the keys before the last change, see sessions/refresh/superseded-keys.ts
        superseded_keys    jsonb,
        -- requests of this session up to this time, when its credentials changed, are void if they have not taken
        -- effect, see sessions/pending-actions/pending-actions.service.ts
        pending_not_before timestamptz(3) not null default '-infinity',
        constraint ended_sessions_say_why
          check ((status = 'ended') = (end_reason is not null and ended_at is not null))
      ) with (fillfactor = 80); -- free space on the page, so that last_seen_at and rotation are updated in place
      create index sessions_of_user on sessions (user_id, created_at desc);
      create index sessions_active on sessions (user_id) where status = 'active';
      create index sessions_of_device on sessions (device_id);
      create index sessions_of_revocation on sessions (revocation_seq) where revocation_seq is not null;
      -- sweeps read active sessions in the order of their ids, retention reads ended ones in the order of their ends
      create index sessions_active_by_id on sessions (id) where status = 'active';
      create index sessions_ended on sessions (ended_at) where status = 'ended';

      -- an ended session never becomes active again, regardless of the role that tries
      create function refuse_revival() returns trigger language plpgsql as $$
        begin raise exception 'session % has ended and stays ended', old.id; end $$;
      create trigger sessions_stay_ended before update of status on sessions
        for each row when (old.status = 'ended' and new.status <> 'ended') execute function refuse_revival();

      -- the sessions of all users created up to this time have ended
      create table session_epoch (
        only_row   boolean primary key default true check (only_row),
        not_before timestamptz(3) not null
      );
      insert into session_epoch (not_before) values ('-infinity');

      create table revocations (
        seq            bigint generated always as identity primary key,
        -- the feed resumes from it: sequence values commit out of order, snapshots of transaction ids are reliable
        xid            xid8 not null default pg_current_xact_id(),
        kind           text not null check (kind in ('token', 'session', 'user', 'everyone', 'stale')),
        subjects       uuid[] not null,
        reason         text not null,
        not_before     timestamptz(3),
        ended_sessions integer not null,
        created_at     timestamptz(3) not null,
        expires_at     timestamptz(3) not null,
        applied_at     timestamptz(3),
        -- jti of a denied access token; subjects contains its session
        token_id       text,
        constraint tokens_have_an_id check ((kind = 'token') = (token_id is not null))
      );
      -- the feed continues from a position
      create index revocations_by_position on revocations (xid, seq);
      create index revocations_live on revocations (expires_at);
      create index revocations_pending on revocations (seq) where applied_at is null;
      create unique index revocations_of_token on revocations (token_id) where token_id is not null;
      -- every read of a session uses this index, which is nearly always empty
      create index revocations_of_session_tokens on revocations ((subjects[1])) where kind = 'token';

      -- the sessions that began with an outside account, for the logout at its provider
      create table session_origins (
        session_id  uuid primary key references sessions on delete cascade,
        identity_id uuid not null,
        sid         text
      );
      create index session_origins_of_identity on session_origins (identity_id);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop table session_origins, revocations, session_epoch, sessions, devices_left_behind, devices;
      drop function refuse_revival;
    `);
  }
}
