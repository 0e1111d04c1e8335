import { parseArgs } from 'node:util';
import { AccountService } from '../auth/accounts/account.service.js';
import { operatorOf, withServices } from '../command.setup.js';
import { runCommand, UsageError } from '../platform/runtime/command.js';
import { findUser, linesOf, reasonOf } from './command-parts.js';

const USAGE = `usage: npm run users:ban -- <id or e-mail address> --reason <text>

Ends all sessions, API keys and grants of a user, and refuses logins until an admin lifts the ban. The last admin
cannot be banned: make another user an admin first (npm run admin:grant).`;

await runCommand(USAGE, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { reason: { type: 'string' } },
  });
  const [which, ...more] = positionals;
  if (which === undefined || more.length > 0) throw new UsageError('name one user');
  if (!values.reason) throw new UsageError('--reason is missing');
  const reason = reasonOf(values.reason);
  await withServices(async (services) => {
    const user = await findUser(services, which);
    const receipt = await services.get(AccountService).ban(user.id, { reason }, operatorOf('users:ban'));
    console.log([`banned ${user.email ?? user.id}`, ...linesOf(receipt)].join('\n'));
  });
});
