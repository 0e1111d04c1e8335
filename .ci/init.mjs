/**
 * Makes a product of a copy by `npm run init` with the given arguments, and checks what is left: the old name, types, lint, format,
 * imports, prose, generated documents, and all tests of the product. Arguments after `--` are those of `npm test`.
 */
import { execFileSync } from 'node:child_process';
import { copyTree } from './copy.mjs';

const args = process.argv.slice(2);
const end = args.includes('--') ? args.indexOf('--') : args.length;
const { copy, run } = copyTree('init');
commit('the template');
run('npm', 'run', '--silent', 'init', '--', ...args.slice(0, end));
findNoOldName();
commit('the product');
run('npx', 'tsc', '-p', 'tsconfig.check.json');
for (const check of ['format', 'lint', 'imports', 'prose']) run('npm', 'run', `check:${check}`);
run('npm', 'run', 'check:security');
run('npm', 'run', 'check:settings'); // builds first
run('npm', 'test', ...args.slice(end));
console.log(`init ${args.join(' ')}: no old name, and all checks and tests hold`);

function commit(message) {
  run('git', 'init', '-q');
  run('git', 'add', '-A', '.');
  const author = ['-c', 'user.name=ci', '-c', 'user.email=ci@localhost', '-c', 'core.hooksPath=/dev/null'];
  run('git', ...author, 'commit', '-q', '-m', message);
}

/** `git grep` fails when it finds nothing. The licence keeps its notice, and the manifest names the origin. */
function findNoOldName() {
  const grep = ['grep', '-i', '-I', '--untracked', 'drawbridge', '--', ':!LICENSE', ':!.template.json'];
  let found;
  try {
    found = execFileSync('git', grep, { cwd: copy, encoding: 'utf8' });
  } catch {
    return;
  }
  throw new Error(`the old name is left:\n${found}`);
}
