import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from '../../test/support/outside-person.js';
import { eventually } from '../../test/support/waiting.js';

const PARTS = ['src', 'packages', 'package.json', 'package-lock.json', 'transpile.js', 'bundle.js', 'dev.js'];
const CONTROLLER = 'src/observability/health.controller.ts';
const MINUTES = 5 * 60_000;

/** Real: `npm run start:dev` in a copy of the package. */
describe('npm run start:dev', () => {
  let root: string;
  let url: string;
  let dev: ChildProcess;
  let output = '';
  const controller = readFileSync(CONTROLLER, 'utf8');

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'drawbridge-dev-'));
    for (const part of [...PARTS, 'dev-bundle.js', '.swcrc'])
      cpSync(resolve(part), join(root, part), { recursive: true });
    symlinkSync(resolve('node_modules'), join(root, 'node_modules'));
    const port = String(await freePort());
    url = `http://127.0.0.1:${port}`;
    const env = { PATH: process.env['PATH'], NODE_ENV: 'development', PORT: port, DATA_DIR: root };
    dev = spawn(process.execPath, ['dev.js', '--inspect=0'], { cwd: root, env });
    for (const stream of [dev.stdout!, dev.stderr!]) stream.on('data', (chunk) => (output += String(chunk)));
    await eventually(() => expect(output).toContain('listens on'), 50_000);
  });
  afterAll(async () => {
    dev.kill('SIGTERM');
    if (dev.exitCode === null) await once(dev, 'exit');
    rmSync(root, { recursive: true, force: true });
  });

  const save = (text: string) => writeFileSync(join(root, CONTROLLER), text);
  const live = async () => (await fetch(`${url}/health/live`)).text();
  /** The body of the handler of `/health/live`. */
  const answering = (expression: string) =>
    controller.replace(`{ status: 'ok' }`, `{ status: ${expression} }`);

  it('passes options for Node to the server', () => {
    expect(output).toContain('Debugger listening on');
  });

  it('serves a saved change, and a stack trace names the file and the line in src', async () => {
    const changed = answering('new Error().stack');
    expect(changed).not.toBe(controller);
    save(changed);
    const line = changed.slice(0, changed.indexOf('new Error().stack')).split('\n').length;
    await eventually(async () => expect(await live()).toContain(`${CONTROLLER}:${line}:`), MINUTES);
  });

  it('goes on serving the last code while a change does not compile, and then the next change', async () => {
    const before = output.length;
    save(`${controller}\nconst = 1;\n`);
    await eventually(() => expect(output.slice(before)).toMatch(/Syntax|Expression|expected/i), MINUTES);
    expect(await live()).toContain(CONTROLLER);
    save(answering(`'mended'`));
    await eventually(async () => expect(await live()).toContain('mended'), MINUTES);
  });
});
