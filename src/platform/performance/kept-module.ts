import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { compileFunction } from 'node:vm';

/** Only `bundle.js` sets it. */
declare const BUNDLED: true | undefined;

/**
 * Loads a large module on first use; most instances never need it. In the bundle its text is read at start and kept
 * in memory: a build may delete or replace the file while the instance runs. The text takes a tenth of the memory of
 * the module: 1.5 MB for both modules of decision 20.
 * @param name of the file beside the bundle, see `KEPT` in `bundle.js`
 * @param load imports the module if there is no bundle
 */
export function keptModule<Module>(name: string, load: () => Promise<Module>): () => Promise<Module> {
  if (typeof BUNDLED === 'undefined') return load;
  const filename = join(import.meta.dirname, `${name}.cjs`);
  let text: Buffer | null = readFileSync(filename);
  let loaded: Module;
  return async () => {
    if (!text) return loaded;
    const module = { exports: {} };
    const run = compileFunction(text.toString(), ['module', 'exports', 'require'], { filename });
    run(module, module.exports, createRequire(import.meta.url));
    loaded = module.exports as Module;
    text = null;
    return loaded;
  };
}
