/** Versions of the template: opens the new one, and finds the one that the product was made of. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { copyFiles, filesIn, git, isRepository, temporaryFolder } from './files.mjs';
import { commitOf } from './manifest.mjs';

/**
 * @param {string} path of a checkout, a folder, or an archive (`.tar.gz`)
 * @returns {{ folder: string, commit: string | null }} a copy of its files; of a checkout, those of its last commit
 */
export function openVersion(path) {
  if (!existsSync(path))
    throw new Error(`${path} does not exist: name a checkout or an archive (.tar.gz) of the template.`);
  if (statSync(path).isFile()) return { folder: unpacked(resolve(path)), commit: null };
  const commit = commitOf(path);
  if (commit) return { folder: filesOfCommit(path, commit), commit };
  const folder = temporaryFolder();
  copyFiles(path, folder, filesIn(path));
  return { folder: checked(folder, path), commit: null };
}

/**
 * The files of the version that the product was made of.
 * @param {string} product folder
 * @param {import('./manifest.mjs').Manifest} manifest
 * @param {string} newVersion path of the new version
 * @param {string | undefined} given path of the old version, when a person names it
 */
export function openBase(product, { template }, newVersion, given) {
  if (given) return checkedVersion(openVersion(given).folder, template, given);
  const commit =
    commitWithin(newVersion, ancestorsOf(product, template.commit)) ??
    commitOfTag(newVersion, template.version);
  if (commit) return filesOfCommit(newVersion, commit);
  if (template.commit && isKnown(product, template.commit)) return filesOfCommit(product, template.commit);
  throw new Error(
    `version ${template.version} of the template, of which this product was made, is in the history neither of ${newVersion} nor ` +
      'of this product: name a checkout or an archive of that version with --base.',
  );
}

/** Commits before `npm run init` may be those of the product: the template knows only those before them. */
function ancestorsOf(product, commit) {
  if (!commit) return [];
  return isKnown(product, commit) ? git(product, 'rev-list', commit).trim().split('\n') : [commit];
}

function commitWithin(folder, commits) {
  return isCheckout(folder) ? commits.find((commit) => isKnown(folder, commit)) : undefined;
}

function commitOfTag(folder, version) {
  return isCheckout(folder) && isKnown(folder, `v${version}`) ? `v${version}` : undefined;
}

const isCheckout = (path) => statSync(path).isDirectory() && isRepository(path);

function isKnown(folder, revision) {
  try {
    git(folder, 'cat-file', '-e', `${revision}^{commit}`);
    return true;
  } catch {
    return false;
  }
}

function filesOfCommit(repository, commit) {
  const folder = temporaryFolder();
  const archive = join(temporaryFolder(), 'tree.tar');
  git(repository, 'archive', '--format=tar', '-o', archive, commit);
  execFileSync('tar', ['-xf', archive, '-C', folder]);
  return checked(folder, repository);
}

/** An archive has its files in one folder, as those of GitHub, or at its top, as those of `git archive`. */
function unpacked(archive) {
  const folder = temporaryFolder();
  try {
    execFileSync('tar', ['-xzf', archive, '-C', folder], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch {
    throw new Error(`${archive} is no archive that \`tar -xzf\` can read.`);
  }
  const [only, ...others] = readdirSync(folder);
  return checked(only && others.length === 0 ? join(folder, only) : folder, archive);
}

function checked(folder, path) {
  if (!existsSync(join(folder, 'src/product.ts')))
    throw new Error(`${path} is no version of the template: it has no src/product.ts.`);
  return folder;
}

function checkedVersion(folder, template, path) {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (version !== template.version)
    throw new Error(`${path} is version ${version}, but this product was made of ${template.version}.`);
  return folder;
}
