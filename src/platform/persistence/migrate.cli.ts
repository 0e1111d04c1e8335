import { required, runCommand } from '../runtime/command.js';
import { BootError } from '../settings/boot-error.js';
import { loadSetting } from '../settings/load-settings.js';
import { grantToApp } from './app-role.js';
import { isDatabaseUnavailable } from './database-problem.js';
import { migrateDatabase } from './migrate.js';
import { PostgresClient } from './postgres/postgres-client.js';
import { connectionTo } from './postgres/postgres-connection.js';

await runCommand(async () => {
  const url = required(loadSetting('databaseUrl', process.env), 'DATABASE_URL', 'the database to migrate');
  const role = loadSetting('databaseAppRole', process.env);
  const tls = {
    storeTls: loadSetting('storeTls', process.env),
    storeCaFile: loadSetting('storeCaFile', process.env),
  };
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
});
