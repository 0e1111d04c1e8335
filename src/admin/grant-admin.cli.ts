import { existsSync } from 'node:fs';
import { AccountService } from '../accounts/account.service.js';
import { createApp } from '../app.setup.js';
import { loadKeys } from '../config/key-file.js';
import { loadSettings } from '../config/load-settings.js';
import { canonicalEmail } from '../users/email-address.js';
import { UsersService } from '../users/users.service.js';

/** The first admin of a new installation: whoever may run this already owns the database. Audited like any other grant. */
const [address] = process.argv.slice(2);
if (!address) {
  console.error('usage: npm run admin:grant -- <e-mail address of a registered user>');
  process.exit(1);
}
const email = canonicalEmail(address);
if (email === null) {
  console.error(`${JSON.stringify(address)} is not an e-mail address`);
  process.exit(1);
}
if (existsSync('.env')) process.loadEnvFile('.env');
const settings = loadSettings(process.env);
if (!settings.databaseUrl) {
  console.error('DATABASE_URL is not set: name the database of the instances');
  process.exit(1);
}
const app = await createApp(settings, await loadKeys(settings));
const user = await app.get(UsersService).findByEmail(email);
if (user) {
  const roles = [...new Set([...user.roles, 'admin' as const])];
  await app.get(AccountService).setRoles(user.id, roles, { actorId: null, origin: null });
  console.log(`${user.email} has the roles ${roles.join(', ')}`);
} else {
  console.error('nobody is registered with that address');
  process.exitCode = 1;
}
await app.close();
