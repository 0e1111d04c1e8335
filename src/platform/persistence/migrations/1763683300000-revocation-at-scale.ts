import type { MigrationInterface, QueryRunner } from 'typeorm';

export class RevocationAtScale1763683300000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- jti of a denied access token; subjects contains its session
      alter table revocations add column token_id text;
      alter table revocations add constraint tokens_have_an_id check ((kind = 'token') = (token_id is not null));
      create unique index revocations_of_token on revocations (token_id) where token_id is not null;
      -- every read of a session uses this index, which is nearly always empty
      create index revocations_of_session_tokens on revocations ((subjects[1])) where kind = 'token';

      -- the feed continues from a position
      drop index revocations_by_xid;
      create index revocations_by_position on revocations (xid, seq);

      -- sweeps read active sessions in the order of their ids, retention reads ended ones in the order of their ends
      create index sessions_active_by_id on sessions (id) where status = 'active';
      create index sessions_ended on sessions (ended_at) where status = 'ended';
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      drop index sessions_ended, sessions_active_by_id, revocations_by_position, revocations_of_session_tokens;
      create index revocations_by_xid on revocations (xid);
      delete from revocations where kind = 'token';
      alter table revocations drop column token_id;
    `);
  }
}
