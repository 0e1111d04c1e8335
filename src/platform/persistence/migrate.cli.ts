import { parseArgs } from 'node:util';
import { required, runCommand, UsageError } from '../runtime/command.js';
import { BootError } from '../settings/boot-error.js';
import { loadSetting } from '../settings/load-settings.js';
import type { StoreTls } from '../settings/store-tls.js';
import { grantToApp } from './app-role.js';
import { isDatabaseUnavailable } from './database-problem.js';
import { migrateDatabase } from './migrate.js';
import { PostgresClient } from './postgres/postgres-client.js';
import { connectionTo } from './postgres/postgres-connection.js';
import { revertLastMigration } from './revert-migration.js';

const USAGE = `usage: npm run db:migrate
       npm run db:revert [-- --yes [--discard-data]]

db:migrate  applies the migrations that the database lacks, and grants DATABASE_APP_ROLE its privileges
db:revert   tells what the revert of the last migration would do; --yes does it. A revert that deletes data is refused
            without --discard-data. Start the older version of the application first: an instance of the newer version
            needs the tables and columns that the revert removes`;

await runCommand(USAGE, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { yes: { type: 'boolean' }, 'discard-data': { type: 'boolean' } },
  });
  const [command, ...more] = positionals;
  if (more.length > 0 || (command !== undefined && command !== 'revert'))
    throw new UsageError(`there is no command ${positionals.join(' ')}`);
  const url = required(loadSetting('databaseUrl', process.env), 'DATABASE_URL', 'the database to migrate');
  const tls = {
    storeTls: loadSetting('storeTls', process.env),
    storeCaFile: loadSetting('storeCaFile', process.env),
  };
  if (command === 'revert') await revert(url, tls, values);
  else await migrate(url, tls);
});

async function migrate(url: string, tls: StoreTls): Promise<void> {
  const role = loadSetting('databaseAppRole', process.env);
  const applied = await migrateDatabase(url, tls);
  console.log(
    applied.length === 0 ? 'no migrations to apply' : applied.map((name) => `applied ${name}`).join('\n'),
  );
  if (!role) return;
  const owner = new PostgresClient(connectionTo(url, tls));
  await owner.connect();
  try {
    await grantToApp(owner, role);
  } catch (error) {
    if (isDatabaseUnavailable(error)) throw error;
    const { message } = error as Error;
    throw new BootError(`DATABASE_APP_ROLE "${role}" cannot be granted its privileges: ${message}`, {
      cause: error,
    });
  } finally {
    await owner.end();
  }
  console.log(`granted the privileges of an instance to ${role}`);
}

async function revert(
  url: string,
  tls: StoreTls,
  { yes = false, 'discard-data': discardsData = false }: { yes?: boolean; 'discard-data'?: boolean },
): Promise<void> {
  const reverted = await revertLastMigration(url, { confirmed: yes, discardsData }, tls);
  if (!reverted) return console.log('no migration to revert');
  const { name, losses, isDone } = reverted;
  const lost = losses.length === 0 ? 'without a loss of data' : `and deletes ${losses.join(', ')}`;
  if (isDone) return console.log(`reverted ${name}, ${lost.replace('deletes', 'deleted')}`);
  if (yes)
    throw new BootError(
      `${name} was not reverted: that deletes ${losses.join(', ')}; back up the data, then add --discard-data`,
    );
  console.log(`would revert ${name}, ${lost}; nothing was changed: repeat the command with --yes`);
}
