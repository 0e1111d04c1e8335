import { AccountService } from '../auth/accounts/account.service.js';
import { createApp } from '../app.setup.js';
import { required, runCommand } from '../platform/runtime/command.js';
import { BootError } from '../platform/settings/boot-error.js';
import { createLogger } from '../platform/logging/logger.js';
import { loadKeys } from '../platform/keys/key-file.js';
import { loadSettings } from '../platform/settings/load-settings.js';
import { requireMigrated } from '../platform/persistence/migrate.js';
import { canonicalEmail } from '../platform/mail/email-address.js';
import { UserRepository } from '../users/user.repository.js';

/**
 * Makes a user the first admin of a new installation. The operator who can run this command already controls the
 * database. The audit log records the grant like any other.
 */
await runCommand(async () => {
  const [address] = process.argv.slice(2);
  if (!address) throw new BootError('usage: npm run admin:grant -- <e-mail address of a registered user>');
  const email = canonicalEmail(address);
  if (email === null) throw new BootError(`${JSON.stringify(address)} is not an e-mail address`);
  const settings = loadSettings(process.env);
  const url = required(settings.databaseUrl, 'DATABASE_URL', 'the database of the instances');
  await requireMigrated(url, settings);
  // The operator does not need the application's log; an error is printed as one sentence.
  const app = await createApp(settings, await loadKeys(settings), { logger: createLogger('silent', false) });
  try {
    const user = await app.get(UserRepository).findByEmail(email);
    if (!user) throw new BootError('no user is registered with that address');
    const roles = [...new Set([...user.roles, 'admin' as const])];
    await app.get(AccountService).setRoles(user.id, roles, { actorId: null, context: null });
    console.log(`${user.email} has the roles ${roles.join(', ')}`);
  } finally {
    await app.close();
  }
});
