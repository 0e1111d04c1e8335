import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '#core';

/** Code of this repository that decides an act. It must occur exactly once in its file; a test checks it. */
export interface Decision {
  /** From the folder of `package.json`. */
  file: string;
  /** The part of the line that stays when a reader changes the decision to see the thief win. */
  code: string;
  says: string;
}

/** A decision with its place, which is computed: a line number in the text would soon be wrong. */
export interface DecidingCode {
  file: string;
  /** Null if the code is not in its file, or occurs twice. */
  line: number | null;
  /** The whole line as it is now, without its indentation. */
  text: string | null;
  says: string;
}

/** Finds the code in the source as it is now. */
export async function locate({ file, code, says }: Decision): Promise<DecidingCode> {
  const lines = (await readFile(join(PACKAGE_ROOT, file), 'utf8')).split('\n');
  const found = lines.flatMap((text, index) => (text.includes(code) ? [{ line: index + 1, text }] : []));
  const place = found.length === 1 ? found[0] : undefined;
  return { file, line: place?.line ?? null, text: place?.text.trim() ?? null, says };
}
