import { migrateDatabase } from './migrate.js';

const url = process.env['DATABASE_URL'];
if (!url) {
  console.error('DATABASE_URL is not set: name the database to migrate');
  process.exit(1);
}
const applied = await migrateDatabase(url);
console.log(applied.length === 0 ? 'nothing to do' : applied.map((name) => `applied ${name}`).join('\n'));
