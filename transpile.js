/**
 * Compiles `src` and the embedded PostgreSQL as the tests do, without type checks, in a quarter of the time of `tsc`.
 * `npm start` uses it. `npm run build`, which checks types, compiles the deployed code.
 */
import { transformFile } from '@swc/core';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

await Promise.all([
  compileAll('src', 'dist'),
  compileAll('packages/dev-postgres/src', 'packages/dev-postgres/dist'),
]);

async function compileAll(from, to) {
  await rm(to, { recursive: true, force: true });
  const files = await readdir(from, { recursive: true });
  const compile = async (file) => {
    const { code } = await transformFile(join(from, file));
    const target = join(to, file.replace(/\.ts$/, '.js'));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, code);
  };
  await Promise.all(files.filter((file) => /(?<!\.spec|\.recipes)\.ts$/.test(file)).map(compile));
}
