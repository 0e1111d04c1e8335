/**
 * Follows pages in a copy, in their order, and checks the result: `node .ci/recipes.mjs docs/tutorial/notes.md`. Without
 * an argument it follows the guide "Make it yours". A block of code counts by the sentence before it:
 * - "`path`:" is a new file. "Add to `path`:" is appended. "In `path`, replace …" is a ```diff: its lines without `+`
 *   stand once in the file, and its lines without `-` take their place. `@@` separates several places of one file.
 *   `*` in a path stands for the time of a migration.
 * - "Run:" runs at once.
 * - "See it work:", or "See it work, in another terminal:", runs when all pages are followed, against the built
 *   application. "It prints:" is then part of what the last commands printed; `…` stands for any text.
 * "Add `Name` to `list` of `path`" needs no block: a module gets the class and its import.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withApplication } from '../tools/derive.mjs';
import { copyTree } from './copy.mjs';

const pages = process.argv.length > 2 ? process.argv.slice(2) : ['docs/guides/make-it-yours.md'];
const changed = new Set();
const scripts = [];
const { copy, run } = copyTree('recipes');

for (const page of pages) for (const step of stepsOf(readFileSync(page, 'utf8'))) follow(step);
assert(scripts.length > 0, 'no block says "See it work:"');
run('git', 'init', '-q'); // the checks ask git for the files
run('npx', 'prettier', '--write', '--log-level=warn', ...changed);
run('npx', 'tsc', '-p', 'tsconfig.check.json');
run('npm', 'run', 'check:lint');
run('npm', 'run', 'check:imports');
run('npm', 'run', 'check:prose');
run('npm', 'run', 'build');
await withApplication(copy, (url) => scripts.forEach((script) => seeItWork(script, url)));
run(
  'npm',
  'test',
  '--',
  'test/route-matrix.spec.ts',
  'test/openapi.spec.ts',
  'test/route-decorators.spec.ts',
);
console.log(
  `recipes: ${changed.size} files changed, ${scripts.length} scripts print what ${pages.join(', ')} promise`,
);

/** The paragraphs and the blocks of code, each block with the sentence before it. */
function* stepsOf(text) {
  let sentence = '';
  for (const part of text.split(/^( *```[^]*?^ *```)$/m)) {
    const [, indent, language, code] = /^( *)```(\w*)\n([^]*?)^ *```$/m.exec(part) ?? [];
    if (code !== undefined) {
      yield { sentence, language, code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), '') };
      continue;
    }
    const paragraphs = part.split(/\n\s*\n|\n(?=\d+\. |- )/).map((one) => one.trim().replaceAll(/\s+/g, ' '));
    for (const paragraph of paragraphs) yield { sentence: paragraph };
    sentence = paragraphs.findLast(Boolean) ?? '';
  }
}

function follow({ sentence, language, code }) {
  if (code === undefined) {
    for (const [, name, list, path] of sentence.matchAll(/\bAdd `(\w+)` to `(\w+)` of `(src\/\S+)`/g))
      register(name, list, path);
  } else if (sentence.endsWith('Run:')) run('bash', '-euc', code);
  else if (/\bSee it work\b.*:$/.test(sentence)) scripts.push({ code, prints: [] });
  else if (sentence.endsWith('It prints:')) scripts.at(-1).prints.push(code);
  else if (language === 'diff') for (const hunk of code.split(/^@@.*\n/m)) replace(pathIn(sentence), hunk);
  else if (/\bAdd to `[^`]+`:$/.test(sentence)) append(pathIn(sentence), code);
  else if (/`[^`]+`:$/.test(sentence)) create(pathIn(sentence), code);
  else throw new Error(`the sentence before a block says neither a file nor what to do: ${sentence}`);
}

function pathIn(sentence) {
  const [path, ...others] = [...sentence.matchAll(/`((?:\w[\w.-]*\/)+[\w.*-]+)`/g)].map(([, path]) => path);
  assert(path && others.length === 0, `one path stands before the block: ${sentence}`);
  return path.includes('*') ? migrationOf(path) : path;
}

function migrationOf(path) {
  const [folder, name] = path.split('*');
  const found = readdirSync(join(copy, folder)).filter((file) => file.endsWith(name));
  assert.equal(found.length, 1, `one file is named ${path}`);
  return folder + found[0];
}

function create(path, code) {
  assert(!existsSync(join(copy, path)), `${path} exists already`);
  changed.add(path);
  mkdirSync(dirname(join(copy, path)), { recursive: true });
  writeFileSync(join(copy, path), code);
}

function append(path, code) {
  changed.add(path);
  appendFileSync(join(copy, path), code);
}

function replace(path, code) {
  const side = (sign) => code.replaceAll(new RegExp(`^[${sign}].*\n`, 'gm'), '').replaceAll(/^[-+ ]/gm, '');
  change(path, (text) => {
    const parts = `\n${text}`.split(`\n${side('+')}`);
    assert.equal(parts.length, 2, `${path} has once:\n${side('+')}`);
    return parts.join(`\n${side('-')}`).slice(1);
  });
}

/** Adds a class of the same folder to a list of a module. */
function register(name, list, path) {
  const declares = (file) =>
    readFileSync(join(copy, dirname(path), file), 'utf8').includes(`export class ${name} `);
  const file = readdirSync(join(copy, dirname(path))).find((file) => file.endsWith('.ts') && declares(file));
  assert(file, `no file beside ${path} exports ${name}`);
  change(path, (text) => {
    assert(text.includes(`${list}: [`), `${path} has a list ${list}`);
    const imported = `import { ${name} } from './${file.replace(/ts$/, 'js')}';\n\n`;
    return text.replace(`${list}: [`, `${list}: [${name}, `).replace('\n\n', `\n${imported}`);
  });
}

function change(path, edit) {
  changed.add(path);
  writeFileSync(join(copy, path), edit(readFileSync(join(copy, path), 'utf8')));
}

function seeItWork({ code, prints }, url) {
  const script = code.replaceAll('http://localhost:3000', url);
  const output = execFileSync('bash', ['-c', `exec 2>&1\n${script}\ntrue`], {
    cwd: copy,
    env: { ...process.env, PORT: new URL(url).port }, // for commands that ask the application, such as client:types
    encoding: 'utf8',
  });
  for (const text of prints) {
    const pattern = text.trimEnd().split('…').map(escaped).join('[^]*?');
    assert.match(output, new RegExp(pattern), `the page promises:\n${text}\n\nit prints:\n${output}`);
  }
}

function escaped(text) {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
