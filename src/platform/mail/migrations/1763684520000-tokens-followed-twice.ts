import type { MigrationInterface, QueryRunner } from 'typeorm';

export class TokensFollowedTwice1763684520000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- a used token that proves an address stays until it expires: following the link again is no error
      alter table mailed_tokens
        add column used_at timestamptz(3),
        drop constraint mailed_tokens_user_id_purpose_key;
      create unique index mailed_tokens_unused on mailed_tokens (user_id, purpose) where used_at is null;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      delete from mailed_tokens where used_at is not null;
      drop index mailed_tokens_unused;
      alter table mailed_tokens drop column used_at, add unique (user_id, purpose);
    `);
  }
}
