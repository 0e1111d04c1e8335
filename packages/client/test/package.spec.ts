import { describe, expect, it } from '@jest/globals';
import { minify } from '@swc/core';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const MOST_BYTES = 5.75 * 1_024;
const MOST_BYTES_OF_PASSKEYS = 1_024;
const MOST_BYTES_OF_STREAMS = 1.5 * 1_024;
const MOST_BYTES_OF_DEVICE_KEY = 1.125 * 1_024;
const manifest = JSON.parse(readFileSync('packages/client/package.json', 'utf8'));
const read = (file: string) => readFileSync(`packages/client/dist/${file}`, 'utf8');
const modules = readdirSync('packages/client/dist').filter((file) => file.endsWith('.js'));
const PASSKEYS = ['passkeys.js'];
const STREAMS = ['streams.js', 'server-events.js'];
const DEVICE_KEY = ['device-key.js'];
const APART = [...PASSKEYS, ...STREAMS, ...DEVICE_KEY];

async function sizeOf(files: string[]): Promise<number> {
  const options = { module: true, compress: true, mangle: true };
  const minified = await Promise.all(files.map((file) => minify(read(file), options)));
  return gzipSync(minified.map(({ code }) => code).join(''), { level: 9 }).length;
}

/** Real: the built package, Node. */
describe('the package', () => {
  it('has no dependencies', () => {
    expect(Object.keys(manifest).filter((key) => /dependencies/i.test(key))).toEqual([]);
    const imports = modules.flatMap((file) =>
      [...read(file).matchAll(/from '([^']+)'/g)].map(([, name]) => name),
    );
    expect(imports.length).toBeGreaterThan(5);
    expect(imports.filter((name) => !name!.startsWith('./'))).toEqual([]);
  });

  it(`is no larger than ${MOST_BYTES} bytes, minified and compressed`, async () => {
    expect(await sizeOf(modules.filter((file) => !APART.includes(file)))).toBeLessThan(MOST_BYTES);
  });

  it.each([
    ['passkeys', PASSKEYS, MOST_BYTES_OF_PASSKEYS],
    ['streams', STREAMS, MOST_BYTES_OF_STREAMS],
    ['device-key', DEVICE_KEY, MOST_BYTES_OF_DEVICE_KEY],
  ])('apps that use %s load them apart, and other apps do not', async (name, files, most) => {
    expect(await sizeOf(files)).toBeLessThan(most);
    const others = modules.filter((file) => !files.includes(file));
    for (const file of others) expect(read(file)).not.toContain(`from './${name}`);
  });

  it.each(['cookie', 'bearer'])(
    'sends nothing before the first call, and keeps no process alive (%s)',
    async (transport) => {
      const script = `
      globalThis.fetch = () => { throw new Error('a call'); };
      const { createClient } = await import(process.argv[1]);
      createClient({ baseUrl: 'http://127.0.0.1:9', transport: '${transport}' });
      console.log('made');`;
      const entry = new URL(`../${manifest.exports['.'].default}`, import.meta.url).href;
      const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, entry], {
        timeout: 120_000,
      });
      expect((await run).stdout).toBe('made\n');
    },
  );
});
