import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { eventually } from './waiting.js';

const executable = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']
  .map((folder) => join(folder, 'nginx'))
  .find(existsSync);

/** A group of tests that needs nginx; the reporter lists them, and CI fails, when there is none. */
export function describeWithNginx(name: string, fn: () => void): void {
  if (executable) describe(name, fn);
  else describe.skip(`${name} (there is no nginx on PATH)`, fn);
}

/** nginx with the configuration that the package has for its users, at other ports. */
export async function startNginx({ port, sidecar, service }: Record<'port' | 'sidecar' | 'service', number>) {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-test-nginx-'));
  const server = readFileSync('packages/verifier/nginx.conf', 'utf8')
    .replace('listen 8080', `listen 127.0.0.1:${port}`)
    .replace('127.0.0.1:9191', `127.0.0.1:${sidecar}`)
    .replace('127.0.0.1:3001', `127.0.0.1:${service}`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n');
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; events {}
     http { access_log off; ${temporary}\n${server} }`,
  );
  execFileSync(executable!, ['-t', '-q', '-e', `${folder}/error.log`, '-c', file]);
  const args = ['-e', `${folder}/error.log`, '-p', folder, '-c', file];
  const child: ChildProcess = spawn(executable!, args, { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  await eventually(() => fetch(url));
  return {
    url,
    async stop() {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
      rmSync(folder, { recursive: true });
    },
  };
}
