/** A three-way merge of trees by `git merge-tree`, in a repository of its own, so that the product's is not touched. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { filesIn, temporaryFolder } from './files.mjs';

const AUTHOR = ['-c', 'user.name=upgrade', '-c', 'user.email=upgrade@localhost'];
const EXACT = ['-c', 'core.autocrlf=false', '-c', 'core.excludesFile=', '-c', 'core.quotePath=false'];

function run(args, options) {
  return execFileSync('git', [...EXACT, ...AUTHOR, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...options,
  });
}

/**
 * @param {{ base: string, yours: string, theirs: string }} folders trees of the product: as it was made, as it is, and as
 *   the new version makes it
 */
export function mergeTrees({ base, yours, theirs }) {
  const repository = temporaryFolder();
  run(['init', '-q', '--bare', repository]);
  const at = (folder, ...args) => ['--git-dir', repository, '--work-tree', folder, ...args];

  const commit = (folder, name, parent) => {
    const env = { ...process.env, GIT_INDEX_FILE: join(repository, `index-${name}`) };
    run(at(folder, 'update-index', '--add', '-z', '--stdin'), {
      cwd: folder,
      env,
      input: filesIn(folder).join('\0'),
    });
    const tree = run(at(folder, 'write-tree'), { env }).trim();
    const id = run(at(folder, 'commit-tree', '-m', name, ...(parent ? ['-p', parent] : []), tree)).trim();
    run(at(folder, 'update-ref', `refs/heads/${name}`, id));
    return id;
  };
  const origin = commit(base, 'base');
  commit(yours, 'yours', origin);
  commit(theirs, 'new-version', origin);

  const { tree, conflicts } = merged((...args) => run(at(yours, ...args)));
  const changes = (from, to) =>
    changesIn(run(at(yours, 'diff-tree', '-r', '-z', '--no-renames', '--name-status', from, to)));
  const env = { ...process.env, GIT_INDEX_FILE: join(repository, 'index-result') };
  return {
    conflicts,
    /** Changes that the merge makes in the product: path → `A`, `M` or `D`. */
    result: changes('yours', tree),
    /** Changes of the person: path → `A`, `M` or `D`. */
    edits: changes('base', 'yours'),
    /** Changes of the new version. */
    news: changes('base', 'new-version'),
    /** Writes files of the merged tree, or of another, into the product. */
    write(files, source = tree) {
      if (files.length === 0) return;
      run(at(yours, 'read-tree', source), { cwd: yours, env });
      run(at(yours, 'checkout-index', '-f', '-z', '--stdin'), { cwd: yours, env, input: files.join('\0') });
    },
  };
}

/** Status 1 means conflicts. The output: tree, files in conflict, an empty part, messages. */
function merged(git) {
  let output;
  try {
    output = git('merge-tree', '--write-tree', '--name-only', '--no-messages', '-z', 'yours', 'new-version');
  } catch (error) {
    if (error.status !== 1) throw error;
    output = error.stdout;
  }
  const [tree, ...files] = output.split('\0');
  return { tree, conflicts: files.filter(Boolean) };
}

function changesIn(output) {
  const parts = output.split('\0');
  return new Map(parts.flatMap((part, index) => (index % 2 === 0 && part ? [[parts[index + 1], part]] : [])));
}
