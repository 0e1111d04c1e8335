import { describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Real: the diagrams of the documents, and the files that they name. */

const SOURCES = (readdirSync('src', { recursive: true }) as string[]).map((file) => basename(file));
const PAGES = (readdirSync('docs', { recursive: true }) as string[])
  .filter((file) => file.endsWith('.md'))
  .map((file) => join('docs', file));
const DIAGRAMS = PAGES.flatMap((page) =>
  [...readFileSync(page, 'utf8').matchAll(/^```mermaid\n([^]*?)^```$/gm)].map(
    ([, text]): [string, string] => [page, text!],
  ),
);

const PARTICIPANT = /^participant (\w+) as (.+)$/;
const MESSAGE = /^(\w+)-{1,2}>>(\w+): (.+)$/;
const NOTE = /^Note over (\w+): (.+)$/;
const BLOCK = /^(opt|alt|par|loop) .+$/;
const BRANCH: Record<string, string> = { else: 'alt', and: 'par' };

/** The faults of a sequence diagram, in the part of Mermaid's grammar that our diagrams use. */
function faultsIn(diagram: string): string[] {
  const [kind, ...lines] = diagram.trim().split('\n');
  const faults = kind === 'sequenceDiagram' ? [] : [`begins with ${kind}`];
  const declared: string[] = [];
  const used = new Set<string>();
  const open: string[] = [];
  for (const line of lines.map((line) => line.trim())) {
    const [, id, ...rest] = PARTICIPANT.exec(line) ?? [];
    if (id) {
      declared.push(id);
      faults.push(...filesIn(rest.join('')).map((file) => `${file} does not exist`));
      continue;
    }
    const [, from, to] = MESSAGE.exec(line) ?? [];
    const [, over] = NOTE.exec(line) ?? [];
    const [, block] = BLOCK.exec(line) ?? [];
    const branch = BRANCH[line.split(' ')[0]!];
    const names = [from, to, over].filter((name) => name !== undefined);
    if (block) open.push(block);
    else if (line === 'end') faults.push(...(open.pop() ? [] : ['an end without a block']));
    else if (branch) faults.push(...(open.at(-1) === branch ? [] : [`outside of ${branch}: ${line}`]));
    else if (names.length === 0) faults.push(`is no statement: ${line}`);
    for (const name of names) used.add(name);
    // Mermaid ends a statement at `;`, reads `#` as an entity, and takes the word `end` for the end of a block.
    if (line !== 'end' && /[;#]|\bend\b/.test(line)) faults.push(`has a reserved word or character: ${line}`);
  }
  faults.push(...open.map((block) => `${block} has no end`));
  faults.push(
    ...[...used].filter((name) => !declared.includes(name)).map((name) => `${name} is not declared`),
  );
  faults.push(...declared.filter((name) => !used.has(name)).map((name) => `${name} is not used`));
  return faults;
}

function filesIn(text: string): string[] {
  return (text.match(/[\w.-]+\.ts\b/g) ?? []).filter((file) => !SOURCES.includes(file));
}

describe('the diagrams of the documents', () => {
  it('are one on each page of the explanation', () => {
    const pages = PAGES.filter((page) => page.startsWith(join('docs', 'explanation')));
    expect(pages.length).toBeGreaterThan(2);
    expect(DIAGRAMS.map(([page]) => page)).toEqual(expect.arrayContaining(pages));
  });

  it.each(DIAGRAMS)('are sequence diagrams that name files of the source: %s', (_page, diagram) => {
    expect(faultsIn(diagram)).toEqual([]);
  });

  it('are refused when a file, a participant, a statement or a block is wrong', () => {
    const lines = [
      'participant A as gone.ts',
      'participant B as B',
      'A->>C: x',
      'A=>B: y',
      'opt z',
      'B->>B: a; b',
    ];
    expect(faultsIn(['sequenceDiagram', ...lines, 'else w'].join('\n'))).toEqual([
      'gone.ts does not exist',
      'is no statement: A=>B: y',
      'has a reserved word or character: B->>B: a; b',
      'outside of alt: else w',
      'opt has no end',
      'C is not declared',
    ]);
  });

  it.each(PAGES.filter((page) => page.startsWith(join('docs', 'explanation'))))(
    'stand beside paths that exist: %s',
    (page) => {
      const paths = [...readFileSync(page, 'utf8').matchAll(/`(src\/[^`]+)`/g)].map(([, path]) => path!);
      expect(paths.length).toBeGreaterThan(2);
      expect(paths.filter((path) => !existsSync(path))).toEqual([]);
    },
  );
});
