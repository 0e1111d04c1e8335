/**
 * The bundle of `npm run start:dev`. `bundle.js` joins 2,400 modules, and 2,100 of them are libraries, which do not
 * change while you work. So this file bundles the libraries once, into `node_modules/.cache`, and the code of `src`
 * again after each change, with source maps. `npm start`, the tests and the deployed code use `bundle.js`.
 */
import { build, context } from 'esbuild';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { BUNDLES, OUTSIDE } from './bundle.js';

const CACHE = 'node_modules/.cache/dev-libraries';
const [kept, server] = BUNDLES;
/** Before all other libraries, which the split bundle evaluates in another order than they import it. */
const FIRST = `import 'reflect-metadata';`;
const MAPS = { sourcemap: 'linked', sourcesContent: false };

/** @returns a function that bundles `dist`, and one that ends the bundler */
export async function devBundler() {
  let folder;
  const libraries = {
    name: 'libraries',
    setup({ onStart, onResolve }) {
      onStart(async () => void (folder = await bundleLibraries()));
      onResolve({ filter: /^[^.#/]/ }, ({ path, kind }) => {
        if (kind !== 'import-statement' || isOutside(path)) return { path, external: true };
        return { path: join('../..', folder, fileOf(path)), external: true };
      });
    },
  };
  const plugins = [...server.plugins, libraries];
  const bundlers = await Promise.all([
    context({ ...kept, ...MAPS, metafile: true }),
    context({
      ...server,
      ...MAPS,
      banner: { js: FIRST + server.banner.js },
      plugins,
      alias: { '#core': './dist/index.js' },
    }),
  ]);
  let files = [];
  let keptAt;
  /** The kept modules are nearly all libraries. They are bundled again when one of the others has changed. */
  const bundleKept = async (bundler) => {
    if (keptAt !== undefined && String(await Promise.all(files.map(modifiedAt))) === keptAt) return;
    const { metafile } = await bundler.rebuild();
    files = Object.keys(metafile.inputs).filter((file) => file.startsWith('dist/'));
    keptAt = String(await Promise.all(files.map(modifiedAt)));
  };
  const [ofKept, ofServer] = bundlers;
  return {
    bundle: () => Promise.all([bundleKept(ofKept), ofServer.rebuild()]),
    end: () => Promise.all(bundlers.map((bundler) => bundler.dispose())),
  };
}

const isOutside = (name) => OUTSIDE.includes(name) || builtinModules.includes(name.replace(/^node:/, ''));
const fileOf = (name) => `${name.replaceAll(/[^\w.-]/g, '+')}.mjs`;

/** @returns the folder with a module for each library, which exports what `dist` imports from it */
async function bundleLibraries() {
  const entries = [...(await importsOf('dist'))].map(([name, imported]) => [name, entryOf(name, imported)]);
  const versions = await readFile('package-lock.json');
  const digest = createHash('sha256').update(versions).update(JSON.stringify(entries)).digest('hex');
  const folder = join(CACHE, digest.slice(0, 16));
  if (existsSync(folder)) return folder;
  const draft = join(CACHE, `draft-${process.pid}`);
  await mkdir(draft, { recursive: true });
  for (const [name, text] of entries) await writeFile(join(draft, fileOf(name)), text);
  await build({
    ...server,
    entryPoints: entries.map(([name]) => join(draft, fileOf(name))),
    outdir: draft,
    outExtension: { '.js': '.mjs' },
    allowOverwrite: true,
  });
  for (const old of (await readdir(CACHE)).filter((name) => !name.startsWith('draft-')))
    await rm(join(CACHE, old), { recursive: true, force: true });
  await rename(draft, folder);
  return folder;
}

/** `import a, { b, c as d } from 'library';` as the compiler writes it, on one line. */
const IMPORT = /^import (?:(.*) from )?['"]([^.#'"][^'"]*)['"];/gm;

function namesIn(clause) {
  const [, preset, list = ''] = /^(\w+)?,? ?(?:\{ (.*) \})?$/.exec(clause);
  const named = list.split(', ').map((one) => one.split(' as ')[0]);
  return [preset && 'default', ...named].filter(Boolean);
}

/** The imports of each compiled file, for as long as it is the same. */
const read = new Map();

async function importsIn(file) {
  const at = await modifiedAt(file);
  if (read.get(file)?.at !== at) {
    const text = await readFile(file, 'utf8');
    const imports = [...text.matchAll(IMPORT)].filter(([, , name]) => !isOutside(name));
    read.set(file, { at, imports: imports.map(([, names = '', name]) => [name, namesIn(names)]) });
  }
  return read.get(file).imports;
}

/** The names that the compiled code imports from each library. */
async function importsOf(folder) {
  const files = await readdir(folder, { recursive: true });
  const compiled = files.filter((file) => file.endsWith('.js') && !file.startsWith('server'));
  const found = new Map();
  for (const imports of await Promise.all(compiled.map((file) => importsIn(join(folder, file))))) {
    for (const [name, names] of imports) {
      const imported = found.get(name) ?? found.set(name, new Set()).get(name);
      for (const one of names) imported.add(one);
    }
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const modifiedAt = async (file) => (await stat(file)).mtimeMs;

/** Only what is used: a bundler cannot list the exports of CommonJS libraries. */
function entryOf(name, imported) {
  if (imported.size === 0) return `import '${name}';`;
  return `export { ${[...imported].sort().join(', ')} } from '${name}';`;
}
