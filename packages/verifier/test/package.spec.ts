import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { Problem } from '../../../src/platform/api/problem.js';
import { Refusal, type RefusalCode } from '../src/index.js';

const FOLDER = 'packages/verifier';
const manifest = JSON.parse(readFileSync(`${FOLDER}/package.json`, 'utf8')) as Record<string, never>;
const modules = (readdirSync(`${FOLDER}/dist`, { recursive: true }) as string[]).filter((file) =>
  file.endsWith('.js'),
);
const read = (file: string) => readFileSync(`${FOLDER}/dist/${file}`, 'utf8');

/** Real: the built package, Node. */
describe('the package of the verifier', () => {
  it('The verifier has no dependency, and only the guard for NestJS imports anything but Node', () => {
    expect(manifest['dependencies']).toBeUndefined();
    const imports = modules.flatMap((file) =>
      [...read(file).matchAll(/from '([^']+)'/g)].map(([, name]) => `${file}: ${name}`),
    );
    expect(imports.length).toBeGreaterThan(20);
    expect(imports.filter((line) => !/: (\.{1,2}\/|node:)/.test(line))).toEqual([
      'adapters/nest.js: @nestjs/common',
    ]);
  });

  it('Each adapter has fewer than 40 lines', () => {
    const adapters = readdirSync(`${FOLDER}/src/adapters`);
    expect(adapters.sort()).toEqual(['express.ts', 'fastify.ts', 'hono.ts', 'nest.ts']);
    for (const file of adapters)
      expect(readFileSync(`${FOLDER}/src/adapters/${file}`, 'utf8').split('\n').length).toBeLessThan(40);
  });

  const CODES: RefusalCode[] = [
    'request.invalid',
    'auth.ambiguous_credentials',
    'auth.unauthenticated',
    'auth.invalid_token',
    'auth.token_expired',
    'auth.session_ended',
    'auth.unavailable',
  ];
  it.each(CODES)('The refusal %s has the status, the body and the headers of the application', (code) => {
    const [refusal, problem] = [new Refusal(code), new Problem(code)];
    expect(refusal.body('an id')).toEqual(problem.body('an id'));
    expect(refusal.status).toBe(problem.status);
    expect(refusal.headers).toMatchObject(problem.headers);
  });

  it('A verifier without an application keeps no process alive', async () => {
    const script = `
      const { createVerifier } = await import(process.argv[1]);
      createVerifier({ url: 'http://127.0.0.1:9', issuer: 'x', audience: 'x', apiKey: 'x', whenBlind: 'deny' });
      console.log('made');`;
    const entry = new URL('../dist/index.js', import.meta.url).href;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, entry], {
      timeout: 120_000,
    });
    expect((await run).stdout).toBe('made\n');
  });

  it('The command line without settings names the first one that is missing, and lists them all', async () => {
    const run = promisify(execFile)(process.execPath, [`${FOLDER}/dist/cli.js`, 'sidecar'], { env: {} });
    await expect(run).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/VERIFIER_URL is not set[^]*VERIFIER_WHEN_BLIND/),
    });
  });
});
