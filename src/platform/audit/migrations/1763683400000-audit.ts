import type { MigrationInterface, QueryRunner } from 'typeorm';
import { PRODUCT } from '../../../product.js';

export class Audit1763683400000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
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

      -- the audit hash chain: the state of the audit log at a moment, see platform/audit/audit-chain.repository.ts
      create table audit_chain (
        id       bigint generated always as identity primary key,
        at       timestamptz(3) not null,
        -- the events of this seal, which are in no other one, and the last of them
        events   int8multirange not null,
        last_id  bigint not null,
        count    integer not null,
        previous bytea not null check (octet_length(previous) = 32),
        hash     bytea not null unique check (octet_length(hash) = 32)
      );
      create index audit_chain_by_last on audit_chain (last_id);

      -- append-only; only the retention job may delete, after setting a variable, and instances may not
      -- (see operations/least-privilege.md)
      create function refuse_change_of_audit() returns trigger language plpgsql as $$
        begin
          if current_setting('${PRODUCT.auditRetention}', true) is distinct from 'on' then
            raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
          end if;
          return null;
        end $$;
      create trigger audit_events_are_append_only before update or delete or truncate on audit_events
        for each statement execute function refuse_change_of_audit();
      create trigger audit_chain_is_append_only before update or delete or truncate on audit_chain
        for each statement execute function refuse_change_of_audit();
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop table audit_chain, audit_events;
      drop function refuse_change_of_audit;
    `);
  }
}
