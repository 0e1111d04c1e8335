import type { MigrationInterface, QueryRunner } from 'typeorm';

export class PeopleAndSessions1763683200000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      create table users (
        id                  uuid primary key,
        email               text,
        display_name        text,
        password_hash       text,
        roles               text[] not null default '{user}',
        banned_at           timestamptz(3),
        banned_until        timestamptz(3),
        ban_reason          text,
        deleted_at          timestamptz(3),
        -- all sessions of the user created up to this time have ended; a login never creates one at or before it
        sessions_not_before timestamptz(3) not null default '-infinity',
        created_at          timestamptz(3) not null,
        constraint living_users_can_log_in
          check (deleted_at is not null or (email is not null and password_hash is not null))
      );
      create unique index users_email_key on users (email);

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

      create table sessions (
        id                  uuid primary key,
        user_id             uuid not null references users,
        device_id           uuid not null references devices,
        transport           text not null check (transport in ('cookie', 'bearer')),
        status              text not null default 'active' check (status in ('active', 'ended')),
        end_reason          text,
        ended_at            timestamptz(3),
        revocation_seq      bigint,
        ip                  inet,
        user_agent          text,
        created_at          timestamptz(3) not null,
        last_seen_at        timestamptz(3) not null,
        authenticated_at    timestamptz(3) not null,
        -- source of the refresh tokens, and the state of their rotation: see sessions/rotation.ts
        refresh_nonce       bytea not null check (octet_length(refresh_nonce) = 16),
        rotation            jsonb not null,
        constraint ended_sessions_say_why
          check ((status = 'ended') = (end_reason is not null and ended_at is not null))
      ) with (fillfactor = 80); -- free space on the page, so that last_seen_at and rotation are updated in place
      create index sessions_of_user on sessions (user_id, created_at desc);
      create index sessions_active on sessions (user_id) where status = 'active';
      create index sessions_of_revocation on sessions (revocation_seq) where revocation_seq is not null;

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
        applied_at     timestamptz(3)
      );
      create index revocations_by_xid on revocations (xid);
      create index revocations_live on revocations (expires_at);
      create index revocations_pending on revocations (seq) where applied_at is null;

      create table audit_events (
        id         bigint generated always as identity primary key,
        at         timestamptz(3) not null default clock_timestamp(),
        type       text not null,
        actor_id   uuid,
        user_id    uuid,
        session_id uuid,
        ip         inet,
        user_agent text,
        request_id text,
        details    jsonb not null default '{}'
      );
      create index audit_events_of_user on audit_events (user_id, id desc);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop table audit_events, revocations, session_epoch, sessions, devices, users;
      drop function refuse_revival;
    `);
  }
}
