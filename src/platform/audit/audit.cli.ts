import { parseArgs } from 'node:util';
import type pg from 'pg';
import { durationOf, required, runCommand, UsageError } from '../runtime/command.js';
import { loadSetting } from '../settings/load-settings.js';
import { PostgresClient } from '../persistence/postgres/postgres-client.js';
import { connectionTo } from '../persistence/postgres/postgres-connection.js';
import { pruneAudit } from './prune-audit.js';
import { verifyAudit } from './verify-audit.js';

const USAGE = `usage: npm run audit:verify [-- --head <entry>:<hash> …] [--retention 400d]
       npm run audit:prune [-- --retention 400d]

verify  compares the audit log with its hash chain; --head: a chain entry that an instance wrote to its log
prune   removes chained events older than the retention; needs the role that owns the database, instances may not prune`;

await runCommand(USAGE, async () => {
  const [command, ...args] = process.argv.slice(2);
  const { values } = parseArgs({
    args,
    options: { head: { type: 'string', multiple: true }, retention: { type: 'string', default: '400d' } },
  });
  const url = required(
    loadSetting('databaseUrl', process.env),
    'DATABASE_URL',
    'the database of the audit log',
  );
  const retainedSince = new Date(Date.now() - durationOf('--retention', values.retention));
  const client = new PostgresClient(
    connectionTo(url, {
      storeTls: loadSetting('storeTls', process.env),
      storeCaFile: loadSetting('storeCaFile', process.env),
    }),
  );
  await client.connect();
  try {
    if (command === 'verify') await verify(client, { heads: values.head, retainedSince });
    else if (command === 'prune') console.log(`${await pruneAudit(client, retainedSince)} events removed`);
    else throw new UsageError(`there is no command ${command}`);
  } finally {
    await client.end();
  }
});

async function verify(client: pg.Client, about: Parameters<typeof verifyAudit>[1]): Promise<void> {
  // A snapshot of one moment: a seal that an instance adds in the meantime is not a fault.
  await client.query('begin isolation level repeatable read read only');
  const { seals, events, removed, waiting, head, faults } = await verifyAudit(client, about);
  console.log(
    `${events} events in ${seals} hash chain entries (the events of ${removed} entries were pruned), ${waiting} events not yet in the chain`,
  );
  if (head) console.log(`the last chain entry is ${head}`);
  for (const fault of faults) console.error(`INTEGRITY ERROR: ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}
