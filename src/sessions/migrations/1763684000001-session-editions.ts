import type { MigrationInterface, QueryRunner } from 'typeorm';

export class SessionEditions1763684000001 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      alter table sessions
        -- how often its keys have changed: access tokens name it
        add column edition integer not null default 0,
        -- what a step-up has taken the place of, see sessions/former-keys.ts
        add column former_keys jsonb;
    `);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table sessions drop column edition, drop column former_keys');
  }
}
