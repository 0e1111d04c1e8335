/**
 * `npm run check:licences` lists the licences of the packages that an instance or the console contains, and fails on one that is
 * not in the list below. Add a licence only after the owner of the product has agreed.
 */
import { readFileSync } from 'node:fs';

const ALLOWED = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'MIT-0',
  'Python-2.0',
]);
/** Packages whose manifest names no licence, read by a person: the text in the package is that licence. */
const READ = { pause: 'MIT', 'passport-strategy': 'MIT' };
/** Development dependencies that the build copies into what is served. */
const BUNDLED = ['preact', 'uqr'];

const nameOf = (path) => path.replace(/^.*node_modules\//, '');

/** @returns {{ name: string, version: string, licence: string }[]} */
export function licencesOf(lock) {
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path.includes('node_modules/') && !entry.link)
    .filter(([path, entry]) => !entry.dev || BUNDLED.includes(nameOf(path)))
    .map(([path, entry]) => {
      const name = nameOf(path);
      return { name, version: entry.version, licence: entry.license ?? READ[name] ?? 'none' };
    });
}

/** Whether one choice of an SPDX expression such as `(MIT OR GPL-3.0)` is allowed, and all parts of it. */
export function isAllowed(licence) {
  return licence
    .replace(/[()]/g, '')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((part) => ALLOWED.has(part.trim())));
}

if (process.argv[1] === import.meta.filename) {
  const found = licencesOf(JSON.parse(readFileSync('package-lock.json', 'utf8')));
  const refused = found.filter(({ licence }) => !isAllowed(licence));
  for (const licence of [...new Set(found.map((one) => one.licence))].sort())
    console.log(
      `${licence}: ${found
        .filter((one) => one.licence === licence)
        .map(({ name }) => name)
        .join(', ')}`,
    );
  for (const { name, version, licence } of refused)
    console.error(`${name} ${version} has the licence ${licence}, which is not allowed`);
  if (refused.length > 0) process.exitCode = 1;
}
