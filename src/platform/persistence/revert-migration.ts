import { MigrationExecutor, type QueryRunner } from 'typeorm';
import { BootError } from '../settings/boot-error.js';
import { PLAIN, type StoreTls } from '../settings/store-tls.js';
import { inTurn } from './migrate.js';

/** The result of a revert, or of its trial. */
export interface Reverted {
  /** The name of the migration. */
  name: string;
  /** The data that it deletes, in words. */
  losses: string[];
  isDone: boolean;
}

/** The columns of all tables by `table.column`, and the rows that this transaction has deleted so far, by table. */
interface State {
  columns: Set<string>;
  deleted: Map<string, number>;
}

const COLUMNS = `
  select c.relname || '.' || a.attname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
  where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0
    and not a.attisdropped`;
const DELETED = 'select relname as table, n_tup_del::int as count from pg_stat_xact_user_tables';
/** Where TypeORM records the migrations. */
const OWN_TABLES = ['migrations', 'typeorm_metadata'];

/**
 * Reverts the last migration, in one transaction. It first tries the revert under a savepoint, to find the data that would
 * be lost.
 *
 * @param confirmed false: changes nothing and tells what would happen
 * @param discardsData also reverts if that deletes data
 * @returns null if no migration is applied
 * @throws BootError if this version does not have the migration
 */
export function revertLastMigration(
  url: string,
  { confirmed, discardsData }: { confirmed: boolean; discardsData: boolean },
  tls: StoreTls = PLAIN,
): Promise<Reverted | null> {
  return inTurn(url, tls, async (source) => {
    const runner = source.createQueryRunner();
    const executor = new MigrationExecutor(source, runner);
    try {
      const [last] = await executor.getExecutedMigrations();
      if (!last) return null;
      const { name } = last;
      if (!source.migrations.some((migration) => (migration.name ?? migration.constructor.name) === name))
        throw new BootError(
          `the last migration, ${name}, is not part of this version: run the command of the version that has it`,
        );
      await runner.startTransaction();
      const losses = await lossesOf(runner, () => executor.undoLastMigration());
      const isDone = confirmed && (losses.length === 0 || discardsData);
      if (isDone) await executor.undoLastMigration();
      await (isDone ? runner.commitTransaction() : runner.rollbackTransaction());
      return { name, losses, isDone };
    } finally {
      await runner.release();
    }
  });
}

/** Runs the work under a savepoint, rolls it back, and counts what it has deleted. */
async function lossesOf(runner: QueryRunner, work: () => Promise<void>): Promise<string[]> {
  const before = await stateOf(runner);
  await runner.query('savepoint trial');
  await work();
  const after = await stateOf(runner);
  await runner.query('rollback to savepoint trial');
  const losses: string[] = [];
  const gone = [...before.columns].filter((column) => !after.columns.has(column));
  const left = new Set([...after.columns].map(tableOf));
  for (const table of new Set(gone.map(tableOf).filter((table) => !left.has(table)))) {
    const [row] = await runner.manager.query<{ count: number }[]>(`select count(*)::int from "${table}"`);
    if (row!.count > 0) losses.push(`the table ${table} with ${row!.count} rows`);
  }
  for (const column of gone.filter((column) => left.has(tableOf(column)))) {
    const [table, name] = column.split('.');
    const [row] = await runner.manager.query<{ count: number }[]>(
      `select count("${name}")::int from "${table}"`,
    );
    if (row!.count > 0) losses.push(`the column ${column} with ${row!.count} values`);
  }
  for (const [table, count] of after.deleted) {
    const rows = count - (before.deleted.get(table) ?? 0);
    if (rows > 0 && left.has(table) && !OWN_TABLES.includes(table)) losses.push(`${rows} rows of ${table}`);
  }
  return losses;
}

async function stateOf(runner: QueryRunner): Promise<State> {
  const columns = await runner.manager.query<{ name: string }[]>(COLUMNS);
  const deleted = await runner.manager.query<{ table: string; count: number }[]>(DELETED);
  return {
    columns: new Set(columns.map(({ name }) => name)),
    deleted: new Map(deleted.map(({ table, count }) => [table, count])),
  };
}

function tableOf(column: string): string {
  return column.split('.')[0]!;
}
