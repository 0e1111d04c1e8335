import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';

const run = promisify(execFile);

/** A program that uses the client. It prints the parts of the answers that the test compares. */
const STORY = (email: string, password: string) => `
import { client } from './client/client.gen';
import { authLogin, authWhoami, probePay, sessionsEndOne, sessionsList } from './client/sdk.gen';

client.setConfig({ baseUrl: process.argv[2]! });
const login = await authLogin({
  body: { email: '${email}', password: '${password}', transport: 'bearer' },
  throwOnError: true,
});
if (!('session' in login.data)) throw new Error('a second factor is required');
const { session, accessToken } = login.data;
client.setConfig({ auth: ({ scheme }) => (scheme === 'bearer' ? accessToken : undefined) });

const sessions = await sessionsList({ throwOnError: true });
const payment = await probePay({
  headers: { 'Idempotency-Key': 'generated-1' },
  body: { amount: 1_250, currency: 'EUR', recipient: 'Bob' },
  throwOnError: true,
});
const receipt = await sessionsEndOne({ path: { id: session.id }, throwOnError: true });
const refused = await authWhoami();
const code: string | undefined = refused.error && 'code' in refused.error ? refused.error.code : undefined;
console.log(JSON.stringify({
  sessions: sessions.data.items.length,
  amount: payment.data.amount,
  receipt: receipt.data.status,
  code,
}));
`;

const PLUGINS = ['@hey-api/client-fetch', '@hey-api/typescript', '@hey-api/sdk'];

const COMPILER_OPTIONS = {
  module: 'esnext',
  moduleResolution: 'bundler',
  target: 'es2022',
  lib: ['es2022', 'dom', 'dom.iterable'],
  types: ['node'],
  strict: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: true,
  noEmit: true,
};

/** Real: a public generator, the TypeScript compiler, the server over HTTP, its stores. */
describe('a client that a public generator makes from /openapi.json', () => {
  let app: TestApp;
  let origin: string;
  /** In the repository, so that the compiler finds the types of Node. Git ignores it. */
  let folder: string;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { API_DOCS: 'true' } });
    await app.app.listen(0, '127.0.0.1');
    origin = `http://localhost:${new URL(await app.app.getUrl()).port}`;
    mkdirSync('.data', { recursive: true });
    folder = mkdtempSync(join('.data', 'generated-client-'));
  });
  afterAll(async () => {
    await app.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('compiles, logs in, lists sessions, pays, and ends its session', async () => {
    const generator = [
      '-i',
      `${origin}/openapi.json`,
      '-o',
      join(folder, 'client'),
      '--silent',
      '--no-log-file',
    ];
    await run('node_modules/.bin/openapi-ts', [...generator, '-p', ...PLUGINS]);
    writeFileSync(join(folder, 'story.ts'), STORY(ALICE.email, PASSWORD));
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ['.'] }),
    );
    const compiled = await run('node_modules/.bin/tsc', ['-p', folder]).catch(({ stdout }) => ({ stdout }));
    expect(compiled.stdout).toBe('');
    const bundle = join(folder, 'story.mjs');
    await run('node_modules/.bin/esbuild', [
      join(folder, 'story.ts'),
      '--bundle',
      '--format=esm',
      '--platform=node',
      `--outfile=${bundle}`,
    ]);
    const { stdout } = await run(process.execPath, [bundle, origin]);
    expect(JSON.parse(stdout)).toEqual({
      sessions: 1,
      amount: 1_250,
      receipt: 'applied',
      code: 'auth.session_ended',
    });
  });
});
