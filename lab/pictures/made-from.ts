import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = ['packages/console/src', 'lab/pictures'];

/** A digest of everything that the pictures show: the source of the console, and how they are made. */
export function sourceDigest(): string {
  const digest = createHash('sha256');
  for (const file of SOURCES.flatMap(filesIn).sort())
    digest.update(file).update('\0').update(readFileSync(file));
  return digest.digest('hex');
}

function filesIn(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[])
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}
