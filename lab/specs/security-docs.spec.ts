import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import '../../src/app.module.js'; // modules declare settings of their own
import { allSettings } from '../../src/platform/settings/feature-settings.js';
import { variableOf } from '../../src/platform/settings/settings.js';
import { RULES } from '../../src/platform/throttling/attempts/backoff.js';

/** Real: the pages for reviewers, and the source that they describe. */

const FOLDER = 'docs/security';
const read = (page: string) => readFileSync(join(FOLDER, page), 'utf8');
const rowsOf = (page: string) =>
  read(page)
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.slice(2, -2).split(' | '));
const requirements = JSON.parse(read('requirements.json')) as { rows: { id: string }[] }[];
const ids = requirements.flatMap(({ rows }) => rows.map(({ id }) => id));
const settings = [...allSettings];

/** Variables that other processes read, and that are no settings of ours. */
const NO_SETTINGS = ['PATH', 'SystemRoot'];

describe('the settings reference', () => {
  it('has each environment variable that the source reads', () => {
    const sources = ['src', 'packages/dev-postgres/src'].flatMap((folder) =>
      (readdirSync(folder, { recursive: true }) as string[])
        .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
        .map((file) => readFileSync(join(folder, file), 'utf8')),
    );
    const known = [...settings.map(([name]) => variableOf(name)), ...NO_SETTINGS];
    const named = sources.flatMap((text) => [
      ...[...text.matchAll(/(?<!['"`.])\b(?:process\.)?env(?:\.|\[['"`])(\w+)/g)].map(([, name]) => name!),
      ...[...text.matchAll(/\{([^{}]*)\} = (?:process\.)?env\b/g)].flatMap(([, names]) =>
        names!.split(',').map((name) => name.split(/[:=]/)[0]!.trim()),
      ),
    ]);
    expect(named).toEqual(expect.arrayContaining(['NODE_ENV', 'KEYS_FILE', 'PATH']));
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
    // All other code reads the settings by their names.
    const uses = sources.flatMap((text) => text.match(/\bprocess\.env\b.?.?/g) ?? []);
    expect(uses.filter((use) => !/env(\)|\.\w|\[['"`]|;)/.test(use))).toEqual([]);
  });
});

describe('a page for reviewers', () => {
  it('has a mitigation and a residual risk for each threat, with existing rows [OPS-07]', () => {
    const threats = rowsOf('threat-model.md').filter(([name]) => /^T\d+$/.test(name!));
    expect(threats.map(([name]) => name)).toEqual(Array.from({ length: 30 }, (_, index) => `T${index + 1}`));
    for (const [name, threat, done, rows, left] of threats) {
      expect({ name, threat }).toEqual({ name, threat: expect.stringMatching(/\([STRIDE](, [STRIDE])*\)$/) });
      expect(done!.length).toBeGreaterThan(20);
      expect(left!.length).toBeGreaterThan(0);
      expect({ name, unknown: rows!.split(', ').filter((row) => !ids.includes(row)) }).toEqual({
        name,
        unknown: [],
      });
    }
  });

  it('has the actual defaults of the settings, the lifetimes and limits of sessions among them [REF-08, OPS-07, SES-13]', () => {
    const told = rowsOf('limits.md').filter(([name]) => /^`[A-Z_]+`$/.test(name!));
    for (const [name, value] of told) {
      const [, setting] = settings.find(([key]) => `\`${variableOf(key)}\`` === name) ?? [];
      expect({ name, value }).toEqual({ name, value: setting?.fallback });
    }
    const names = told.map(([name]) => name!.replaceAll('`', ''));
    for (const [key] of settings.filter(([key]) =>
      /lifetime|idleTimeout|sessionLimit$|Grace|Ttl|Lease|maxConn/i.test(key),
    ))
      expect(names).toContain(variableOf(key));
    const page = read('limits.md');
    for (const level of ['AAL1', 'AAL2', 'AAL3', 'argon2id', 'NTP']) expect(page).toContain(level);
    expect(RULES).toMatchObject({ free: 10, bound: 100 });
  });

  it('names only files that exist', () => {
    const named = [...read('README.md').matchAll(/`((?:src|test|docs)\/[\w./-]+)`/g)].map(
      ([, file]) => file!,
    );
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((file) => !existsSync(file))).toEqual([]);
  });
});

describe('a document', () => {
  it('has no broken link', () => {
    const ls = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
      encoding: 'utf8',
    });
    const pages = ls.split('\n').filter((page) => page && existsSync(page));
    expect(pages).toEqual(expect.arrayContaining(['README.md', 'docs/README.md', 'docs/security/README.md']));
    const broken = pages.flatMap((page) =>
      [
        ...readFileSync(page, 'utf8')
          .replace(/```[^]*?```/g, '')
          .matchAll(/\]\(\s*([^)#\s:]+)(#[^)]*)?\)/g),
      ]
        .map(([, target]) => join(dirname(page), target!))
        .filter((target) => !existsSync(target))
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });
});
