/**
 * `npm run check:prose`: fails on the sentences that are hardest to read. `docs/glossary.md` and `CONTRIBUTING.md` say how we write.
 * `node lab/prose.mjs src/auth README.md` looks at these alone.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const MAX_LINE = 120;
const NO_ACTOR = /(?<!['"])\b(nobody|somebody|whoever|whomever)\b/gi; // `nobody` in quotes is a user of the operating system
const OPENS_WITH_A_CLAUSE = /^(Who|Whoever|Whom|Of whom|What)\b/;
const GENERATED = /^docs\/(evidence|profiles)\/|package-lock\.json$|api-types\.ts$/;

const files = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', ...process.argv.slice(2)],
  { encoding: 'utf8' },
)
  .split('\n')
  .filter(
    (file) => /\.(md|ts|mts|mjs|cjs|js)$/.test(file) && !GENERATED.test(file) && file !== 'lab/prose.mjs',
  );

let faults = 0;
for (const file of files) {
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    continue; // deleted, and not yet committed
  }
  const lines = text.split('\n');
  lines.forEach((line, index) => {
    for (const [word] of line.matchAll(NO_ACTOR)) fault(file, index, `"${word}": name the actor`);
  });
  if (file.endsWith('.md')) {
    forEachTextLine(lines, (line, index) => {
      // A row of a table and a link cannot be wrapped.
      if (line.length > MAX_LINE && !/^\s*\||https?:\/\/\S{60}/.test(line))
        fault(file, index, `${line.length} characters`);
    });
  }
  for (const { sentence, index } of file.endsWith('.md')
    ? sentencesOf(lines, proseOf)
    : sentencesOf(lines, commentOf)) {
    if (OPENS_WITH_A_CLAUSE.test(sentence) && !/\?\W*$/.test(sentence))
      fault(file, index, `begins with a clause: ${sentence.slice(0, 60)}`);
  }
}
if (faults > 0) {
  console.error(`${faults} faults: a sentence is subject, verb, object, and names who acts`);
  process.exitCode = 1;
}

function fault(file, index, what) {
  faults++;
  console.error(`${file}:${index + 1} ${what}`);
}

/** Not what stands in blocks of code. */
function forEachTextLine(lines, look) {
  let isCode = false;
  lines.forEach((line, index) => {
    if (/^\s*```/.test(line)) isCode = !isCode;
    else if (!isCode) look(line, index);
  });
}

function* sentencesOf(lines, textOf) {
  let isCode = false;
  for (const [index, line] of lines.entries()) {
    if (/^\s*(\*\s*)?```/.test(line)) isCode = !isCode;
    if (isCode) continue;
    const text = textOf(line);
    const before = index > 0 ? textOf(lines[index - 1]) : '';
    const begins = !before || /[.:;!?]$|\*\*$/.test(before.trim());
    const [first, ...others] = text.split(/(?<=[.!?;:]) (?=[A-Z])/);
    if (begins) yield { sentence: first.trim(), index };
    for (const sentence of others) yield { sentence: sentence.trim(), index };
  }
}

/** Headings and cells of tables are no sentences. */
function proseOf(line) {
  return /^\s*(#|\|)/.test(line) ? '' : line.replace(/^\s*([-*>]|\d+\.)\s+/, '').replace(/^\*\*/, '');
}

function commentOf(line) {
  return (
    /^\s*(?:\/\*\*?|\*(?!\/)|\/\/)\s?(.*?)(?:\*\/)?\s*$/.exec(line)?.[1] ??
    /\s\/\/ (.*)$/.exec(line)?.[1] ??
    ''
  );
}
