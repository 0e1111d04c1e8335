import type { MigrationInterface, QueryRunner } from 'typeorm';

export class DeviceBinding1763685300000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      alter table sessions
        -- the public key of the device (JWK), see sessions/binding/session-binding.ts
        add column device_key      jsonb,
        add column bound_at        timestamptz(3),
        -- how often the key was set or removed; bound cookies contain this number
        add column binding_version integer not null default 0,
        -- how often the device has proved the key; challenges contain this number
        add column key_proofs      integer not null default 0,
        add constraint bound_sessions_have_a_key check ((device_key is null) = (bound_at is null));

      -- the ids of DPoP proofs (RFC 9449 11.1); they name no user
      create table used_device_proofs (digest bytea primary key, expires_at timestamptz(3) not null);
      create index used_device_proofs_expiry on used_device_proofs (expires_at);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop table used_device_proofs;
      alter table sessions
        drop constraint bound_sessions_have_a_key,
        drop column device_key, drop column bound_at, drop column binding_version, drop column key_proofs;
    `);
  }
}
