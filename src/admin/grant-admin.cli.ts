import { parseArgs } from 'node:util';
import { AdminInvitations } from '../auth/passwords/admin-invitations.js';
import { AccountService } from '../auth/accounts/account.service.js';
import { operatorOf, withServices } from '../command.setup.js';
import { runCommand, UsageError } from '../platform/runtime/command.js';
import { UserRepository } from '../users/user.repository.js';
import { emailOf } from './command-parts.js';

const USAGE = `usage: npm run admin:grant -- <e-mail address>

Makes a user an admin: at once, if the user has verified the address. Otherwise the command creates the account if
it is missing, and prints a link to choose a password. The user becomes an admin with that. The link works once,
within an hour; a second run prints another one and voids the first.`;

/** The operator who can run this command already controls the database. The audit log records the grant like any other. */
await runCommand(USAGE, async () => {
  const { positionals } = parseArgs({ allowPositionals: true });
  const [address, ...more] = positionals;
  if (address === undefined || more.length > 0) throw new UsageError('name one e-mail address');
  const email = emailOf(address);
  const actor = operatorOf('admin:grant');
  await withServices(async (services) => {
    const user = await services.get(UserRepository).findByEmail(email);
    if (!user?.emailVerifiedAt) {
      const link = await services.get(AdminInvitations).invite(email, actor);
      console.log(`${email} becomes an admin by choosing a password here, once, within an hour:\n${link}`);
      return;
    }
    const roles = [...new Set([...user.roles, 'admin' as const])];
    await services.get(AccountService).setRoles(user.id, roles, actor);
    console.log(`${email} has the roles ${roles.join(', ')}`);
  });
});
