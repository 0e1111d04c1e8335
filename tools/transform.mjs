/** Makes the tree of a product of the tree of a template. The same input always gives the same tree, so that an upgrade can repeat it. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as prettier from 'prettier';
import { copyFiles, filesIn, readText, temporaryFolder } from './files.mjs';
import { namesIn, renamer } from './names.mjs';
import { removeParts } from './parts.mjs';
import { wrapLongLines } from './wrap.mjs';

/** The licence asks for this notice in all copies. */
const NOT_RENAMED = new Set(['LICENSE']);
/** These prove `npm run init`, which no product runs again. */
const PROOFS_OF_INIT = [
  '.ci/init.mjs',
  'lab/products',
  'lab/specs/init.spec.ts',
  'lab/specs/upgrade.spec.ts',
  'lab/specs/doctor.spec.ts',
];
const LINES_ABOUT_THEM = /^.*(\.ci\/init\.mjs|npm run init).*\n/gm;
/** The files that `npm run check:format` checks. */
const FORMATTED = /^((src|test|lab|packages|tools)\/|[^/]+\.js$)/;
/** A product counts its own versions. */
const FIRST_VERSION = '0.1.0';
const CHANGELOG = `# Changelog

All notable changes, newest first. Versions follow [Semantic Versioning](https://semver.org).

## Unreleased
`;

/**
 * @param {string} source
 * @param {{ product: import('./names.mjs').Names, without: string[] }} options
 * @returns {Promise<string>} a temporary folder with the tree of the product
 */
export async function productOf(source, { product, without }) {
  const folder = temporaryFolder();
  copyFiles(source, folder);
  removeParts(folder, without);
  removeProofsOfInit(folder);
  await rename(folder, namesIn(source), product);
  beginVersions(folder);
  return folder;
}

function removeProofsOfInit(folder) {
  for (const file of PROOFS_OF_INIT) rmSync(join(folder, file), { recursive: true, force: true });
  for (const file of ['.ci/run', 'lab/README.md'])
    edit(join(folder, file), (text) => text.replaceAll(LINES_ABOUT_THEM, ''));
}

async function rename(folder, from, to) {
  const renamed = renamer(from, to);
  for (const file of filesIn(folder)) {
    const path = join(folder, file);
    const before = NOT_RENAMED.has(file) ? undefined : readText(path);
    if (before === undefined) continue;
    const after = renamed(file, before);
    if (after !== before) writeFileSync(path, await formatted(folder, file, after));
  }
}

/** Lines are longer or shorter with the new name. */
async function formatted(folder, file, text) {
  const wrapped = file.endsWith('.md') ? wrapLongLines(text) : text;
  const filepath = join(folder, file);
  const { inferredParser } = await prettier.getFileInfo(filepath);
  if (!FORMATTED.test(file) || !inferredParser) return wrapped;
  return prettier.format(wrapped, { ...(await prettier.resolveConfig(filepath)), filepath });
}

function beginVersions(folder) {
  writeFileSync(join(folder, 'CHANGELOG.md'), CHANGELOG);
  editJson(join(folder, 'package.json'), (manifest) => (manifest.version = FIRST_VERSION));
  editJson(join(folder, 'package-lock.json'), (lock) => {
    lock.version = FIRST_VERSION;
    lock.packages[''].version = FIRST_VERSION;
  });
}

function editJson(path, change) {
  edit(path, (text) => {
    const value = JSON.parse(text);
    change(value);
    return `${JSON.stringify(value, null, 2)}\n`;
  });
}

function edit(path, change) {
  if (existsSync(path)) writeFileSync(path, change(readFileSync(path, 'utf8')));
}
