/**
 * Builds the console into `dist`, from where the server serves it: one page, and scripts and styles whose names
 * contain a hash of their content. Each page of the console is a file that the browser loads on first use.
 */
import { build, transform } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';

const here = import.meta.dirname;
const target = join(here, 'dist');

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
const { metafile } = await build({
  entryPoints: [join(here, 'src/main.tsx')],
  outdir: target,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  metafile: true,
  jsx: 'automatic',
  jsxImportSource: 'preact',
  alias: { '@drawbridge/client': join(here, '../client/src') },
  legalComments: 'none',
  logLevel: 'error',
});

const [[script]] = Object.entries(metafile.outputs).filter(([, { entryPoint }]) =>
  entryPoint?.endsWith('main.tsx'),
);
const style = await readFile(join(here, 'src/style.css'), 'utf8');
const { code } = await transform(style, { loader: 'css', minify: true });
const styleName = `style-${createHash('sha256').update(code).digest('hex').slice(0, 8)}.css`;
const page = await readFile(join(here, 'src/index.html'), 'utf8');
await Promise.all([
  writeFile(join(target, styleName), code),
  writeFile(
    join(target, 'index.html'),
    page.replace('%STYLE%', styleName).replace('%SCRIPT%', script.split('/').at(-1)),
  ),
]);

// Compressed once, here, and not for each request.
for (const name of (await readdir(target)).filter((name) => name !== 'index.html')) {
  await writeFile(join(target, `${name}.br`), brotliCompressSync(await readFile(join(target, name))));
}
