/**
 * `npm run upgrade -- <checkout or archive of the new version> [--base <the old one>] [--dry-run]` brings a new version of the
 * template into a product. Files that only one side has changed need no word. Ends with 1 when a person has to decide.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { GENERATED } from './derive.mjs';
import { git, isRepository, removeFile } from './files.mjs';
import { hashesOf, originOf, readManifest, writeManifest } from './manifest.mjs';
import { mergeTrees } from './merge.mjs';
import { openBase, openVersion } from './versions.mjs';

const OPTIONS = { base: { type: 'string' }, 'dry-run': { type: 'boolean', default: false } };

try {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  await upgrade(process.cwd(), positionals[0], values);
} catch (error) {
  console.error(`upgrade: ${error.message}`);
  if (error.stderr?.length) console.error(String(error.stderr));
  process.exitCode = 2;
}

async function upgrade(folder, path, { base: given, 'dry-run': isDryRun }) {
  const manifest = readManifest(folder);
  refuse(folder, path);
  const { productOf } = await import('./transform.mjs');
  const version = openVersion(path);
  const template = originOf(version.folder, version.commit);
  const base = await productOf(openBase(folder, manifest, path, given), manifest);
  const theirs = await productOf(version.folder, manifest);

  const merge = mergeTrees({ base, yours: folder, theirs });
  const plan = planOf(folder, merge);
  if (!isDryRun) {
    apply(folder, merge, plan);
    writeManifest(folder, { ...manifest, template, files: hashesOf(version.folder, theirs) });
  }
  console.log(reportOf(manifest.template, template, plan, isDryRun));
  if (plan.conflicts.length + plan.deletions.length > 0) process.exitCode = 1;
}

function refuse(folder, path) {
  if (!path)
    throw new Error(
      'name a checkout or an archive (.tar.gz) of the new version: `npm run upgrade -- ../new-version`.',
    );
  if (!isRepository(folder))
    throw new Error(
      'this product is no git repository, so this command could not be undone: run `git init` and commit first.',
    );
  if (git(folder, 'status', '--porcelain').trim())
    throw new Error(
      'the working tree has changes: commit or stash them first, so that you can undo this command.',
    );
}

/** Sorts the files by what happens to them. */
function planOf(folder, { conflicts, result, edits, news }) {
  const isDeletion = (file) => edits.get(file) === 'D' || news.get(file) === 'D';
  const generated = conflicts.filter((file) => file in GENERATED);
  const deletions = conflicts.filter((file) => isDeletion(file) && !generated.includes(file));
  const others = [...result.keys()].filter((file) => !conflicts.includes(file));
  return {
    generated,
    /** One side has deleted what the other has changed: the product keeps its state. */
    deletions: deletions.map((file) => ({
      file,
      by: existsSync(join(folder, file)) ? 'the new version' : 'you',
    })),
    conflicts: conflicts.filter((file) => !generated.includes(file) && !deletions.includes(file)),
    merged: others.filter((file) => edits.has(file) && !(file in GENERATED)),
    written: others.filter((file) => result.get(file) !== 'D'),
    removed: others.filter((file) => result.get(file) === 'D'),
  };
}

function apply(folder, merge, { conflicts, generated, written, removed }) {
  merge.write([...written, ...conflicts.filter((file) => merge.result.get(file) !== 'D')]);
  merge.write(
    generated.filter((file) => merge.news.get(file) !== 'D'),
    'new-version',
  );
  for (const file of removed) removeFile(folder, file);
}

function list(title, lines) {
  return lines.length > 0 ? ['', title, ...lines.map((line) => `  ${line}`)] : [];
}

function reportOf(from, to, plan, isDryRun) {
  const { conflicts, deletions, merged, written, removed } = plan;
  return [
    `From ${nameOf(from)} to ${nameOf(to)}: ${written.length} files written, ${removed.length} removed.` +
      (isDryRun ? ' Nothing was changed: this is a dry run.' : ''),
    ...list('Your edits and those of the new version are merged; read them:', merged),
    ...list(
      'Conflicts. Both sides are in the file, between <<<<<<< and >>>>>>>; choose:',
      conflicts.map(adviceOf),
    ),
    ...list(
      'Changed on one side and deleted on the other. Nothing was done; decide:',
      deletions.map(({ file, by }) => `${file} (deleted by ${by})`),
    ),
    ...list('Then:', [
      'npm install',
      ...new Set(Object.values(GENERATED)),
      'npm run format && npm run check && npm test',
      "read the new version's CHANGELOG.md, and commit, with .template.json",
    ]),
  ].join('\n');
}

function nameOf({ version, commit }) {
  return commit ? `${version} (${commit.slice(0, 10)})` : version;
}

function adviceOf(file) {
  if (file === 'package-lock.json')
    return `${file}: resolve package.json first; npm install resolves this file`;
  return file;
}
