/**
 * `npm run docs:security` writes docs/evidence/checklist.md from the requirements and the titles of the tests;
 * with `--check` it only reports missing, unknown or old entries. The last argument may be another root.
 *
 * @typedef {object} Row
 * @property {string} id
 * @property {'C' | 'H' | 'M' | 'L'} severity
 * @property {string} requirement
 * @property {string} source
 * @property {string} [note] a hint for reviewers on how it is kept
 * @property {{ reason: string, instead: string }} [notKept]
 * @property {string} [later] why it belongs to a later release
 * @typedef {{ title: string, rows: Row[] }} Group
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { page, testsOf } from './page.mjs';
import { taggedIn } from './titles.mjs';

const args = process.argv.slice(2);
const root = resolve(args.find((argument) => !argument.startsWith('--')) ?? '.');
const PAGE = join(root, 'docs/evidence/checklist.md');

const specs = ['src', 'test', 'lab', 'packages/client/test']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((file) => join(root, folder, file)),
  )
  .filter((file) => file.endsWith('.spec.ts'))
  .sort()
  .map((file) => taggedIn(relative(root, file).replaceAll(sep, '/'), readFileSync(file, 'utf8')));
const tagged = specs.flatMap((spec) => spec.tagged);
const groups = JSON.parse(readFileSync(join(root, 'docs/security/requirements.json'), 'utf8'));
const faults = [...specs.flatMap((spec) => spec.faults), ...faultsOf(groups, tagged)];

const text = page(groups, tagged);
if (faults.length === 0 && !args.includes('--check')) writeFileSync(PAGE, text);
else if (faults.length === 0 && read(PAGE) !== text)
  faults.push('docs/evidence/checklist.md is old: run `npm run docs:security` and commit the result');
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;

/** @param {Group[]} groups */
function faultsOf(groups, tagged) {
  const rows = groups.flatMap((group) => group.rows);
  const ids = rows.map(({ id }) => id);
  const unknown = tagged.flatMap(({ file, title, rows }) =>
    rows.filter((id) => !ids.includes(id)).map((id) => `${file}: there is no row ${id}: ${title}`),
  );
  const twice = ids.filter((id, place) => ids.indexOf(id) !== place).map((id) => `${id} is there twice`);
  const contradictory = rows.flatMap(({ id, notKept, later }) => {
    const isTested = testsOf(id, tagged).length > 0;
    const hasReason = Boolean(later || (notKept?.reason && notKept.instead));
    if (!isTested && !hasReason) return [`${id} has neither a test nor a reason`];
    if (isTested && (later || notKept)) return [`${id} has a test and is said not to be kept`];
    return [];
  });
  return [...unknown, ...twice, ...contradictory];
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
