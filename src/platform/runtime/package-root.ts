import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder of `package.json`. The source, the build and the bundle lie at different depths below it. */
export const PACKAGE_ROOT = rootAbove(import.meta.dirname);

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootAbove(dirname(folder));
}
