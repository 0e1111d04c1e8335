/**
 * `npm run init -- --name acme [--title "Acme Shop"] [--key-prefix ack] [--without examples,console,oauth] [--keep-generated] [--dry-run]`
 * gives the product its names, removes parts, renews generated files, and writes `.template.json`.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { derive, GENERATED } from './derive.mjs';
import { copyFiles, filesIn, git, hashOf, isRepository, removeFile, temporaryFolder } from './files.mjs';
import { hashesOf, isProduct, MANIFEST, originOf, writeManifest } from './manifest.mjs';
import { namesIn, newNames } from './names.mjs';
import { partsOf } from './parts.mjs';

const OPTIONS = {
  name: { type: 'string' },
  title: { type: 'string' },
  'key-prefix': { type: 'string' },
  without: { type: 'string', default: '' },
  'keep-generated': { type: 'boolean', default: false },
  'dry-run': { type: 'boolean', default: false },
};

try {
  await init(process.cwd(), parseArgs({ options: OPTIONS }).values);
} catch (error) {
  console.error(`init: ${error.message}`);
  if (error.stderr?.length) console.error(String(error.stderr));
  process.exitCode = 1;
}

async function init(folder, options) {
  const names = { ...options, keyPrefix: options['key-prefix'] };
  refuse(folder);
  const product = newNames(names, namesIn(folder));
  const without = partsOf(options.without);
  if (!existsSync(join(folder, 'node_modules/prettier')))
    throw new Error('node_modules is missing: run `npm ci` first.');
  const { productOf } = await import('./transform.mjs');

  const origin = originOf(folder);
  const before = temporaryFolder();
  copyFiles(folder, before);
  const made = await productOf(before, { product, without });
  const changes = changesBetween(before, made);
  if (options['dry-run']) {
    for (const [file, what] of changes) console.log(`${what} ${file}`);
    return;
  }
  for (const [file] of changes.filter(([, what]) => what === 'remove')) removeFile(folder, file);
  copyFiles(
    made,
    folder,
    changes.filter(([, what]) => what !== 'remove').map(([file]) => file),
  );
  const manifest = { template: origin, product, without, reviewed: [] };
  writeManifest(folder, { ...manifest, files: hashesOf(before, folder) });
  console.log(summaryOf(product, changes));
  const isOld = without.length > 0 && !(await renewGenerated(folder, options));
  if (!isOld) writeManifest(folder, { ...manifest, files: hashesOf(before, folder) });
  console.log(nextSteps(folder, product, { without, isOld }));
}

/** @returns whether they are new. A failure leaves a product whose owner can run the generators. */
async function renewGenerated(folder, options) {
  if (options['keep-generated']) return false;
  console.log('Generated documents and types are renewed. This takes about a minute.');
  try {
    await derive(folder);
    return true;
  } catch (error) {
    console.error(`init: generated files are old: ${error.message}`);
    process.exitCode = 1;
    return false;
  }
}

function refuse(folder) {
  if (isProduct(folder))
    throw new Error(
      `${MANIFEST} exists: this copy has its name. docs/guides/make-it-yours.md says how to rename it again.`,
    );
  if (isRepository(folder) && git(folder, 'status', '--porcelain').trim())
    throw new Error(
      'the working tree has changes: commit or stash them first, so that you can undo this command.',
    );
}

function changesBetween(before, made) {
  const left = new Set(filesIn(made));
  return filesIn(before).flatMap((file) => {
    if (!left.has(file)) return [[file, 'remove']];
    return hashOf(join(before, file)) === hashOf(join(made, file)) ? [] : [[file, 'change']];
  });
}

function summaryOf({ name, slug, keyPrefix }, changes) {
  const removed = changes.filter(([, what]) => what === 'remove').length;
  return [
    `The product is ${name}. Machines call it ${slug}, its API keys begin with ${keyPrefix}_.`,
    `${changes.length - removed} files changed, ${removed} files removed.`,
  ].join('\n');
}

function nextSteps(folder, { slug }, { without, isOld }) {
  const hasPictures = existsSync(join(folder, 'docs/images'));
  return [
    '',
    'Next:',
    ...(without.length > 0 ? ['  npm install           removes the packages that are no longer needed'] : []),
    ...(isOld ? [...new Set(Object.values(GENERATED))].map((command) => `  ${command}`) : []),
    '  npm test              should pass',
    '  git add -A            commit the result, with .template.json: upgrades and advisories need it',
    `  COOKIE_PREFIX=${slug}    if two products share one host; cookies contain no name otherwise`,
    ...(existsSync(join(folder, '.data'))
      ? ['  rm -r .data           the development database has the old name']
      : []),
    ...(hasPictures
      ? ['  npm run pictures      the pictures in docs/images show the old name; needs Chromium']
      : []),
    '  README.md             tell your own story; LICENSE keeps its notice and may get yours',
  ].join('\n');
}
