/**
 * Compiles `src` to `dist` as the tests do, without type checks, in a quarter of the time of `tsc`. `npm start` uses
 * it. `npm run build`, which checks types, compiles the deployed code.
 */
import { transformFile } from '@swc/core';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

await rm('dist', { recursive: true, force: true });
const files = await readdir('src', { recursive: true });
const compile = async (file) => {
  const { code } = await transformFile(join('src', file));
  const target = join('dist', file.replace(/\.ts$/, '.js'));
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, code);
};
await Promise.all(files.filter((file) => /(?<!\.spec|\.recipes)\.ts$/.test(file)).map(compile));
