/** `.template.json`: what a product was made of. `npm run upgrade` and `npm run doctor` need it, so it is committed. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesIn, git, hashOf, isRepository } from './files.mjs';
import { namesIn } from './names.mjs';

export const MANIFEST = '.template.json';

/**
 * @typedef {object} Manifest
 * @property {import('./names.mjs').Names & { version: string, commit: string | null }} template the origin
 * @property {import('./names.mjs').Names} product
 * @property {string[]} without the parts that were removed
 * @property {string[]} reviewed the ids of advisories that a person has dealt with in edited files
 * @property {Record<string, [origin: string, written?: string]>} files SHA-256 of each file in the template, and in the
 *   product if it differs there
 */

export const isProduct = (folder) => existsSync(join(folder, MANIFEST));

/** @returns {Manifest} */
export function readManifest(folder) {
  if (!isProduct(folder))
    throw new Error(
      `${MANIFEST} is missing: \`npm run init\` writes it, and only a copy that has it can be compared.`,
    );
  return JSON.parse(readFileSync(join(folder, MANIFEST), 'utf8'));
}

/** @param {Manifest} manifest */
export function writeManifest(folder, { files, ...others }) {
  // One line for each file, so that a change of a file is a change of a line.
  const lines = Object.entries(files).map(
    ([file, hashes]) => `    ${JSON.stringify(file)}: ${JSON.stringify(hashes)}`,
  );
  const head = JSON.stringify(others, null, 2).replace(/\n}$/, '');
  writeFileSync(join(folder, MANIFEST), `${head},\n  "files": {\n${lines.join(',\n')}\n  }\n}\n`);
}

/**
 * @param {string} source tree of the template
 * @param {string} made tree of the product, before anybody edits it
 */
export function hashesOf(source, made) {
  const origins = filesIn(source).filter((file) => existsSync(join(made, file)));
  return Object.fromEntries(
    origins.map((file) => {
      const [origin, written] = [hashOf(join(source, file)), hashOf(join(made, file))];
      return [file, origin === written ? [origin] : [origin, written]];
    }),
  );
}

/** @returns {Manifest['template']} */
export function originOf(folder, commit = commitOf(folder)) {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return { ...namesIn(folder), version, commit };
}

/** @returns {string | null} `null` for a downloaded archive */
export function commitOf(folder) {
  try {
    return isRepository(folder) ? git(folder, 'rev-parse', 'HEAD').trim() : null;
  } catch {
    return null; // a repository without a commit
  }
}
