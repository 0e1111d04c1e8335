import { readFileSync } from 'node:fs';

/** The fields of log lines, with their types, as docs/reference/logs.md has them. */
export const LOG_FIELDS: ReadonlyMap<string, string> = new Map(
  [...readFileSync('docs/reference/logs.md', 'utf8').matchAll(/^\| `(\w+)` \| (\w+) \|/gm)].map(
    ([, name, type]) => [name!, type!],
  ),
);

/**
 * The fields of a line that the page lacks, or has with another type. A field without a value may be null. pino writes
 * levels as numbers, unless the logger of the application formats them.
 */
export function undocumentedFields(line: Record<string, unknown>): string[] {
  return Object.entries(line)
    .filter(([name, value]) => value !== null && name !== 'level' && typeof value !== LOG_FIELDS.get(name))
    .map(([name, value]) => `${name}: ${typeof value}`);
}
