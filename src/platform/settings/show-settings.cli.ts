import { parseArgs } from 'node:util';
import { runCommand } from '../runtime/command.js';
import '../../app.module.js'; // modules declare settings of their own
import { settingsForPeople } from './settings-for-people.js';

const USAGE = `usage: npm run settings:show

Prints each setting with the value in force, and where the value comes from: the environment, the file .env or the
default. Secrets are hidden, and URLs are printed without their passwords. A value that would stop the boot is
reported, with exit code 1.`;

/** Before `.env` is read. */
const environment = Object.assign({}, process.env);

await runCommand(USAGE, async () => {
  parseArgs({ options: {} });
  const rows = settingsForPeople(environment, process.env);
  const [wide, deep] = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const [variable, source, value] of rows)
    console.log(`${variable!.padEnd(wide!)}  ${source!.padEnd(deep!)}  ${value}`.trimEnd());
});
