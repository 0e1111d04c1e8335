/**
 * Deletes the examples as step 1 of the README's "Make it yours" says, in a copy, and checks what is left: types,
 * lint, imports, the types of the client, all tests of the product.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const copy = mkdtempSync(join(tmpdir(), 'drawbridge-without-examples-'));
process.on('exit', () => rmSync(copy, { recursive: true, force: true }));

const run = (command, ...args) => execFileSync(command, args, { cwd: copy, stdio: 'inherit' });

copyTree();
deleteExamples();
run('npx', 'tsc', '-p', 'tsconfig.check.json');
run('npm', 'run', 'check:lint');
run('npm', 'run', 'check:imports');
run('npm', 'run', 'build');
await generateClientTypes();
run('npm', 'test', ...process.argv.slice(2));
console.log('without the examples: types, imports and tests hold');

function copyTree() {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
  });
  for (const file of listed.split('\0').filter((name) => name && name !== 'node_modules'))
    cpSync(file, join(copy, file));
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'));
}

/** The README names the folder and the file of the line. */
function deleteExamples() {
  const [, folder, file] = /Delete `(src\/\S+)` and its line in\s+`(src\/\S+)`/.exec(
    readFileSync('README.md', 'utf8'),
  );
  rmSync(join(copy, folder), { recursive: true });
  const lines = readFileSync(join(copy, file), 'utf8').split('\n');
  const left = lines.filter((line) => !/^export .*\/examples\//.test(line));
  assert.equal(left.length, lines.length - 1, `one line of ${file} is about the examples`);
  writeFileSync(join(copy, file), left.join('\n'));
}

/** As a developer does, `npm run client:types` beside `npm start`. */
async function generateClientTypes() {
  const env = { ...process.env, PORT: '0', DATA_DIR: join(copy, '.data') };
  const app = spawn('node', ['dist/server/main.js'], {
    cwd: copy,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    run('npm', 'run', 'client:types', '--', `${await addressOf(app)}/openapi.json`);
  } finally {
    app.kill('SIGINT');
    await once(app, 'close');
  }
}

async function addressOf(app) {
  let output = '';
  for await (const chunk of app.stdout.iterator({ destroyOnReturn: false })) {
    output += chunk;
    const [, url] = /^Drawbridge listens on (\S+)$/m.exec(output) ?? [];
    if (url) return url;
  }
  throw new Error(`the application did not start:\n${output}`);
}
