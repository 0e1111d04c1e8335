import type { MigrationInterface, QueryRunner } from 'typeorm';

export class SessionEditions1763684000001 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      alter table sessions
        -- how often the session's keys have changed; access tokens contain this number
        add column edition integer not null default 0,
        -- the keys before the last change, see sessions/superseded-keys.ts
        add column former_keys jsonb;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table sessions drop column edition, drop column former_keys');
  }
}
