import { existsSync } from 'node:fs';
import { grantToApp } from './app-role.js';
import { loadSetting } from '../config/load-settings.js';
import { migrateDatabase } from './migrate.js';
import { PostgresClient } from './postgres-client.js';
import { connectionTo } from './postgres-connection.js';

if (existsSync('.env')) process.loadEnvFile('.env');
const { DATABASE_URL: url, DATABASE_APP_ROLE: role } = process.env;
if (!url) {
  console.error('DATABASE_URL is not set: name the database to migrate');
  process.exit(1);
}
const tls = {
  storeTls: loadSetting('storeTls', process.env),
  storeCaFile: loadSetting('storeCaFile', process.env),
};
const applied = await migrateDatabase(url, tls);
console.log(applied.length === 0 ? 'nothing to do' : applied.map((name) => `applied ${name}`).join('\n'));
if (role) {
  const owner = new PostgresClient(connectionTo(url, tls));
  await owner.connect();
  try {
    await grantToApp(owner, role);
    console.log(`${role} may do what an instance does`);
  } catch (error) {
    console.error(`DATABASE_APP_ROLE "${role}" cannot be given its rights: ${(error as Error).message}`);
    process.exitCode = 1;
  } finally {
    await owner.end();
  }
}
