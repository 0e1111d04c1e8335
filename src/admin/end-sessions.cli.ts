import { parseArgs } from 'node:util';
import { operatorOf, withServices } from '../command.setup.js';
import { runCommand, UsageError } from '../platform/runtime/command.js';
import { BootError } from '../platform/settings/boot-error.js';
import { RevocationService } from '../sessions/revocation/revocation.service.js';
import { findUser, isUuid, linesOf, reasonOf } from './command-parts.js';

const USAGE = `usage: npm run sessions:end -- --session <id> [--reason <text>]
       npm run sessions:end -- --user <id or e-mail address> [--reason <text>]
       npm run sessions:end -- --everyone --yes [--reason <text>]

Ends sessions as the admin API does, also while no instance runs and while Redis is down.
--session   one session
--user      all sessions of one user, and the grants that the user has given to apps
--everyone  all sessions of all users; every user has to log in again
--reason    a text for the audit log, such as the number of an incident`;

await runCommand(USAGE, async () => {
  const { session, user, everyone, yes, reason } = parse();
  const cause = {
    ...operatorOf('sessions:end'),
    reason: everyone ? ('admin_everyone' as const) : ('admin' as const),
    details: reason === undefined ? {} : { operatorReason: reasonOf(reason) },
  };
  if (everyone && !yes)
    throw new UsageError('this ends the sessions of all users: repeat the command with --yes');
  await withServices(async (services) => {
    const revocations = services.get(RevocationService);
    const end = async () => {
      if (session !== undefined) return revocations.endSession(session, cause);
      if (user !== undefined) return revocations.endUser((await findUser(services, user)).id, cause);
      return revocations.endEveryone(cause);
    };
    const receipt = await end();
    if (!receipt) throw new BootError('no session has this id');
    console.log(linesOf(receipt).join('\n'));
  });
});

function parse() {
  const { values } = parseArgs({
    options: {
      session: { type: 'string' },
      user: { type: 'string' },
      everyone: { type: 'boolean' },
      yes: { type: 'boolean' },
      reason: { type: 'string' },
    },
  });
  const chosen = [values.session, values.user, values.everyone].filter((value) => value !== undefined);
  if (chosen.length !== 1) throw new UsageError('name one of --session, --user and --everyone');
  if (values.session !== undefined && !isUuid(values.session))
    throw new UsageError(`--session ${JSON.stringify(values.session)} is not the id of a session`);
  return values;
}
