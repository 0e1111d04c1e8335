import { readFile, writeFile } from 'node:fs/promises';
import { runCommand } from '../runtime/command.js';
import { BootError } from './boot-error.js';
import '../../app.module.js'; // modules declare settings of their own
import { allSettings } from './feature-settings.js';
import { variableOf } from './settings.js';
import type { Setting } from './setting.js';

/**
 * `npm run docs:settings` writes `.env.example` and `docs/reference/settings.md` from the schema. With `--check` it only
 * reports whether they differ, for CI.
 */
const USAGE = 'usage: npm run docs:settings [-- --check]';
const PAGE = 'docs/reference/settings.md';
const MARKERS = ['<!-- settings -->', '<!-- /settings -->'] as const;
const entries = [...allSettings];

function envExample(): string {
  const blocks = entries.map(([name, setting]) =>
    [
      `# ${setting.doc}`,
      `# ${setting.allowed} [${plain(fallback(setting))}]`,
      `# ${variableOf(name)}=${example(setting)}`,
    ].join('\n'),
  );
  return `# Every setting with its default. Copy to .env and uncomment what you change.\n\n${blocks.join('\n\n')}\n`;
}

function table(): string {
  const rows = entries.map(
    ([name, setting]) =>
      `| \`${variableOf(name)}\` | ${fallback(setting)} | ${setting.allowed} | ${setting.doc} |`,
  );
  return ['| variable | default | allowed | what it does |', '|---|---|---|---|', ...rows].join('\n');
}

function fallback({ fallback, fallbackDoc }: Setting<unknown>): string {
  return fallbackDoc ?? (typeof fallback === 'string' ? `\`${fallback}\`` : 'unset');
}

function example({ fallback }: Setting<unknown>): string {
  return typeof fallback === 'string' ? fallback : '';
}

function plain(markdown: string): string {
  return markdown.replaceAll('`', '');
}

async function page(): Promise<string> {
  const text = await readFile(PAGE, 'utf8');
  const [before, rest] = text.split(MARKERS[0]);
  const after = rest?.split(MARKERS[1])[1];
  if (before === undefined || after === undefined)
    throw new BootError(`${PAGE} has lost its ${MARKERS.join(' … ')} markers`);
  return `${before}${MARKERS[0]}\n${table()}\n${MARKERS[1]}${after}`;
}

await runCommand(USAGE, async () => {
  const wanted = { '.env.example': envExample(), [PAGE]: await page() };
  for (const [file, text] of Object.entries(wanted)) {
    if (!process.argv.includes('--check')) await writeFile(file, text);
    else if ((await readFile(file, 'utf8').catch(() => '')) !== text)
      throw new BootError(
        `${file} differs from the settings' schema: run \`npm run docs:settings\` and commit the result`,
      );
  }
});
