import type { MigrationInterface, QueryRunner } from 'typeorm';

export class UsedRevocationTokens1763685000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- tokens by which a provider has ended everything of a user, until they have expired
      create table used_revocation_tokens (
        -- of the issuer and the jti
        digest     bytea primary key check (octet_length(digest) = 32),
        expires_at timestamptz(3) not null
      );
      create index used_revocation_tokens_by_end on used_revocation_tokens (expires_at);

      -- an address names the users of an issuer
      create index identities_by_email on identities (issuer, email);
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop index identities_by_email; drop table used_revocation_tokens');
  }
}
