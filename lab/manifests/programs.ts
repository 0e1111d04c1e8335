import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The path of an installed program. Debian has some in /usr/sbin, which is not on the PATH of users. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
  return folders.map((folder) => join(folder, name)).find(existsSync);
}

/** A group of tests that needs a program; the reporter lists it, and CI fails, when it is not installed. */
export function describeWithProgram(name: string, title: string, fn: (program: string) => void): void {
  const program = findProgram(name);
  if (program) describe(title, () => fn(program));
  else describe.skip(`${title} (there is no ${name} on PATH)`, () => fn(''));
}
