/**
 * Deletes the examples as the README's "Make it yours" says, in a copy, and checks what is left: types,
 * lint, imports, the types of the client, all tests of the product.
 */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyTree, withApplication } from './copy.mjs';

const { copy, run } = copyTree('without-examples');
deleteExamples();
run('npx', 'tsc', '-p', 'tsconfig.check.json');
run('npm', 'run', 'check:lint');
run('npm', 'run', 'check:imports');
run('npm', 'run', 'build');
// As a developer does, `npm run client:types` beside `npm start`.
await withApplication(copy, (url) => run('npm', 'run', 'client:types', '--', `${url}/openapi.json`));
run('npm', 'test', ...process.argv.slice(2));
console.log('without the examples: types, imports and tests hold');

/** The README names the folder and the file of the line. */
function deleteExamples() {
  const [, folder, file] = /delete `(src\/\S+)` and its line in\s+`(src\/\S+)`/.exec(
    readFileSync('README.md', 'utf8'),
  );
  rmSync(join(copy, folder), { recursive: true });
  const lines = readFileSync(join(copy, file), 'utf8').split('\n');
  const left = lines.filter((line) => !/^export .*\/examples\//.test(line));
  assert.equal(left.length, lines.length - 1, `one line of ${file} is about the examples`);
  writeFileSync(join(copy, file), left.join('\n'));
}
