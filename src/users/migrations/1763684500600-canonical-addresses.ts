import type { MigrationInterface, QueryRunner } from 'typeorm';
import { BootError } from '../../platform/settings/boot-error.js';
import { canonicalEmail } from '../../platform/mail/email-address.js';

const TABLES = ['users', 'mailed_tokens', 'account_jobs'] as const;
const MAX_NAMED = 20;

interface Row {
  id: string;
  email: string;
}

/**
 * Gives every address its canonical spelling, and makes the database refuse any other. {@link
 * ValidateCanonicalAddresses1763684500601} validates the existing rows.
 */
export class CanonicalAddresses1763684500600 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      -- the grammar of users/email-address.ts
      create function is_canonical_email(address text) returns boolean language sql immutable parallel safe as $$
        select octet_length(address) <= 254 and position('@' in address) <= 65 and address ~
          ('^[a-z0-9!#$%&''*+/=?^_\`{|}~-]+(\\.[a-z0-9!#$%&''*+/=?^_\`{|}~-]+)*'
           '@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$')
      $$;
      -- other instances can still read; no instance adds an address between the check and the constraint
      lock table ${TABLES.join()} in share row exclusive mode;
    `);
    await this.correctUsers(queryRunner);
    for (const table of ['mailed_tokens', 'account_jobs']) await this.correct(queryRunner, table);
    for (const table of TABLES)
      await queryRunner.query(
        `alter table ${table} add constraint ${table}_email_is_canonical check (is_canonical_email(email)) not valid`,
      );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of TABLES)
      await queryRunner.query(`alter table ${table} drop constraint ${table}_email_is_canonical`);
    await queryRunner.query('drop function is_canonical_email');
  }

  /** @throws BootError for accounts that only an operator can correct */
  private async correctUsers(queryRunner: QueryRunner): Promise<void> {
    const unsolved: string[] = [];
    for (const { id, email } of await this.others(queryRunner, 'users')) {
      const canonical = canonicalEmail(email);
      const [owner] = await this.query(queryRunner, 'select id from users where email = $1', [canonical]);
      if (canonical === null) unsolved.push(`${id}: ${JSON.stringify(email)} is not an address`);
      else if (owner)
        unsolved.push(
          `${id}: ${JSON.stringify(email)} is another spelling of ${canonical}, which ${owner.id} has`,
        );
      else await queryRunner.query('update users set email = $2 where id = $1', [id, canonical]);
    }
    if (unsolved.length === 0) return;
    const named = unsolved.slice(0, MAX_NAMED).join('\n  ');
    throw new BootError(
      `${unsolved.length} accounts have an address that is refused from now on. ` +
        `Give each an address of its own (\`update users set email = …\`) or delete it, then migrate again:\n  ${named}`,
    );
  }

  /** Deletes jobs and tokens whose address is not valid; the user can request them again. Corrects the others. */
  private async correct(queryRunner: QueryRunner, table: string): Promise<void> {
    for (const { id, email } of await this.others(queryRunner, table)) {
      const canonical = canonicalEmail(email);
      if (canonical === null) await queryRunner.query(`delete from ${table} where id = $1`, [id]);
      else await queryRunner.query(`update ${table} set email = $2 where id = $1`, [id, canonical]);
    }
  }

  private others(queryRunner: QueryRunner, table: string): Promise<Row[]> {
    return this.query(
      queryRunner,
      `select id, email from ${table} where not is_canonical_email(email) order by id`,
    );
  }

  private query(queryRunner: QueryRunner, sql: string, parameters?: unknown[]): Promise<Row[]> {
    return queryRunner.query(sql, parameters) as Promise<Row[]>;
  }
}
