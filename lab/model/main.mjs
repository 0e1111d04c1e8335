/**
 * `npm run scale:model` prints the tables of docs/evidence/scale.md. With other assumptions it prints the tables that they
 * change: `npm run scale:model -- --visits 4 --own-work 3000`. `-- --write` writes them into the page, `-- --page`
 * prints it.
 */
import { parseArgs } from 'node:util';
import { ACTIVITY } from './model.mjs';
import { BLOCKS, flagOf, OF_ACTIVITY, readPage, renew, writePage } from './page.mjs';

const options = Object.fromEntries(
  Object.keys(ACTIVITY).map((name) => [flagOf(name).slice(2), { type: 'string' }]),
);
const { values } = parseArgs({
  options: { ...options, write: { type: 'boolean' }, page: { type: 'boolean' } },
});
const activity = { ...ACTIVITY };
for (const name of Object.keys(ACTIVITY)) {
  const given = values[flagOf(name).slice(2)];
  if (given === undefined) continue;
  activity[name] = Number(given);
  if (!(activity[name] >= 0)) {
    console.error(`${flagOf(name)} wants a number`);
    process.exit(2);
  }
}

if (values.write) writePage(renew(readPage()));
else if (values.page) process.stdout.write(renew(readPage()));
else {
  const changed = Object.keys(values).length > 0;
  for (const name of changed ? OF_ACTIVITY : Object.keys(BLOCKS))
    console.log(`\n## ${name}\n\n${BLOCKS[name](activity)}`);
}
