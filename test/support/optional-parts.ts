import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { TestApp } from './app.js';
import type { CallerKind } from './caller-kind.js';

/**
 * The callers and settings that a module adds to the tests of every route, if it is off by default. They are in a file
 * `*.part.ts` of this folder, which is deleted with the module.
 */
export interface OptionalPart {
  /** The settings that turn the module on. */
  env: Record<string, string>;
  /** The kinds of callers that the module adds. */
  callerKinds(app: TestApp): Record<string, CallerKind>;
}

export const OPTIONAL_PARTS = await optionalParts();

/** The settings of an application with all optional modules. */
export const EVERYTHING_ON: Record<string, string> = Object.assign(
  {},
  ...OPTIONAL_PARTS.map(({ env }) => env),
);

async function optionalParts(): Promise<OptionalPart[]> {
  const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.part.ts'));
  const modules = files.map(
    (file) => import(pathToFileURL(join(import.meta.dirname, file)).href) as Promise<{ PART: OptionalPart }>,
  );
  return (await Promise.all(modules)).map(({ PART: part }) => part);
}
