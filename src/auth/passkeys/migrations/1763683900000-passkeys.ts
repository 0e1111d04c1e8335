import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Passkeys1763683900000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      create table passkeys (
        id              uuid primary key,
        user_id         uuid not null references users,
        -- the id that the authenticator uses; no other passkey may have it (WebAuthn 7.1, step 26)
        credential_id   bytea not null unique check (octet_length(credential_id) between 1 and 1023),
        -- COSE_Key (RFC 9052 7)
        public_key      bytea not null,
        -- increases with each use; always 0 if the authenticator does not count
        sign_count      bigint not null,
        transports      text[] not null,
        aaguid          uuid not null,
        backup_eligible boolean not null,
        backed_up       boolean not null,
        name            text not null,
        created_at      timestamptz(3) not null,
        last_used_at    timestamptz(3)
      );
      create index passkeys_of_user on passkeys (user_id, created_at);

      -- challenges that were used, until they would have expired; an unused challenge leaves no row here
      create table used_passkey_challenges (
        nonce      bytea primary key check (octet_length(nonce) = 32),
        expires_at timestamptz(3) not null
      );
      create index used_passkey_challenges_by_end on used_passkey_challenges (expires_at);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table passkeys, used_passkey_challenges');
  }
}
