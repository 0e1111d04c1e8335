/** Removes optional parts of the product as the documents say, so that commands and documents cannot differ. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** In the order in which they are removed: the commands of `oauth` edit pages of the console. */
const REMOVERS = {
  examples: removeExamples,
  oauth: (folder) => removeAsSaidIn(folder, 'docs/guides/oauth.md'),
  console: (folder) => removeAsSaidIn(folder, 'docs/guides/console.md'),
};
export const PARTS = Object.keys(REMOVERS);

/**
 * @param {string} text as on the command line: `examples,console`
 * @throws {Error} with a sentence that says what is allowed
 */
export function partsOf(text) {
  const named = text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
  const unknown = named.filter((part) => !PARTS.includes(part));
  if (unknown.length > 0)
    throw new Error(
      `--without "${unknown.join(',')}" is not allowed: allowed are ${PARTS.join(', ')}, with commas between them.`,
    );
  return PARTS.filter((part) => named.includes(part));
}

/** @param {string[]} parts */
export function removeParts(folder, parts) {
  for (const part of PARTS.filter((part) => parts.includes(part))) REMOVERS[part](folder);
  if (parts.length > 0) renewLockFile(folder);
}

/** The README names the folder and the file of the line. */
function removeExamples(folder) {
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  const [, examples, file] = /delete `(src\/\S+)` and its line in\s+`(src\/\S+)`/.exec(readme) ?? [];
  if (!examples) throw new Error('README.md does not say how the examples are deleted');
  rmSync(join(folder, examples), { recursive: true });
  const lines = readFileSync(join(folder, file), 'utf8').split('\n');
  const left = lines.filter((line) => !/^export .*\/examples\//.test(line));
  if (left.length !== lines.length - 1) throw new Error(`one line of ${file} should be about the examples`);
  writeFileSync(join(folder, file), left.join('\n'));
}

/** Executes the commands of the section "Remove it". */
function removeAsSaidIn(folder, page) {
  const path = join(folder, page);
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const [, section = ''] = /^## Remove it\n([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(text) ?? [];
  const [, commands] = /```sh\n([\s\S]*?)```/.exec(section) ?? [];
  if (!commands) throw new Error(`${page} has no commands in a section "Remove it"`);
  // A second part may edit a file that the first one has deleted: perl warns, and goes on.
  execFileSync('bash', ['-euc', commands], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Without a download: a lock file has all that is needed to leave packages out. */
function renewLockFile(folder) {
  const args = ['install', '--package-lock-only', '--offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  try {
    execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch {
    console.error('package-lock.json does not fit package.json without a download: `npm install` renews it.');
  }
}
