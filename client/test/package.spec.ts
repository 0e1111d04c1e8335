import { describe, expect, it } from '@jest/globals';
import { minify } from '@swc/core';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const MOST_BYTES = 5 * 1_024;
const manifest = JSON.parse(readFileSync('client/package.json', 'utf8'));
const modules = readdirSync('client/dist')
  .filter((file) => file.endsWith('.js'))
  .map((file) => readFileSync(`client/dist/${file}`, 'utf8'));

/** Real: the built package, Node. */
describe('the package', () => {
  it('depends on nothing', () => {
    expect(Object.keys(manifest).filter((key) => /dependencies/i.test(key))).toEqual([]);
    const imports = modules.flatMap((text) => [...text.matchAll(/from '([^']+)'/g)].map(([, name]) => name));
    expect(imports.length).toBeGreaterThan(5);
    expect(imports.filter((name) => !name!.startsWith('./'))).toEqual([]);
  });

  it(`is no larger than ${MOST_BYTES} bytes, minified and compressed`, async () => {
    const options = { module: true, compress: true, mangle: true };
    const minified = await Promise.all(modules.map((text) => minify(text, options)));
    const { length } = gzipSync(minified.map(({ code }) => code).join(''), { level: 9 });
    expect(length).toBeLessThan(MOST_BYTES);
  });

  it.each(['cookie', 'bearer'])(
    'does nothing until a call is made, and keeps no process alive (%s)',
    async (transport) => {
      const script = `
      globalThis.fetch = () => { throw new Error('a call'); };
      const { createClient } = await import(process.argv[1]);
      createClient({ baseUrl: 'http://127.0.0.1:9', transport: '${transport}' });
      console.log('made');`;
      const entry = new URL(`../${manifest.exports['.'].default}`, import.meta.url).href;
      const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, entry], {
        timeout: 10_000,
      });
      expect((await run).stdout).toBe('made\n');
    },
  );
});
