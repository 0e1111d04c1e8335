import { parseArgs } from 'node:util';
import type pg from 'pg';
import { durationOf, required, runCommand } from '../command.js';
import { loadSetting } from '../config/load-settings.js';
import { PostgresClient } from '../database/postgres-client.js';
import { connectionTo } from '../database/postgres-connection.js';
import { pruneAudit } from './prune-audit.js';
import { verifyAudit } from './verify-audit.js';

const USAGE = `usage: npm run audit:verify [-- --head <seal>:<hash> …] [--retention 400d]
       npm run audit:prune [-- --retention 400d]

verify  compares the audit log with its seals; --head: a seal as the log of an instance had it
prune   removes events that are older, and whose seals are; for the owner of the database, instances may not`;

await runCommand(async () => {
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
    else throw new Error(USAGE);
  } finally {
    await client.end();
  }
});

async function verify(client: pg.Client, about: Parameters<typeof verifyAudit>[1]): Promise<void> {
  // A snapshot of one moment: a seal that an instance adds in the meantime is not a fault.
  await client.query('begin isolation level repeatable read read only');
  const { seals, events, removed, waiting, head, faults } = await verifyAudit(client, about);
  console.log(
    `${events} events in ${seals} seals (${removed} of them without their events, by retention), ${waiting} wait for one`,
  );
  if (head) console.log(`the last seal is ${head}`);
  for (const fault of faults) console.error(`NOT AS IT WAS: ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}
