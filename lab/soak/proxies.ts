import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/support/outside-person.js';
import { findProgram } from '../manifests/programs.js';
import type { Certificate } from '../../test/support/services.mjs';

export const DOMAIN = 'app.example.com';

interface Place {
  folder: string;
  /** Of the proxy itself. */
  http: number;
  https: number;
  /** Of the two instances. */
  instances: [number, number];
}

interface Program {
  file: string;
  /** The shipped configuration at other ports, with other paths. */
  adapt(text: string, place: Place): string;
  /** Arguments that only check the configuration. */
  check(file: string, folder: string): string[];
  run(file: string, folder: string): string[];
}

const instancesIn = (text: string, [a, b]: [number, number]) =>
  text.replaceAll('127.0.0.1:3001', `127.0.0.1:${a}`).replaceAll('127.0.0.1:3002', `127.0.0.1:${b}`);

const PROGRAMS = {
  nginx: {
    file: 'deploy/nginx/app.conf',
    adapt: (text, { folder, http, https, instances }) => {
      const site = instancesIn(text, instances)
        .replace(/^ +listen \[::\].*\n/gm, '')
        .replace('listen 80;', `listen 127.0.0.1:${http};`)
        .replace('listen 443 ', `listen 127.0.0.1:${https} `)
        .replaceAll('/etc/ssl/drawbridge', folder);
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
        .map((name) => `${name}_temp_path ${folder}/${name};`)
        .join(' ');
      return `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; worker_processes 2;
        events {} http { access_log off; ${temporary}\n${site} }`;
    },
    check: (file, folder) => ['-t', '-q', '-e', `${folder}/error.log`, '-c', file],
    run: (file, folder) => ['-e', `${folder}/error.log`, '-p', folder, '-c', file],
  },
  haproxy: {
    file: 'deploy/haproxy/haproxy.cfg',
    adapt: (text, { folder, http, https, instances }) =>
      instancesIn(text, instances)
        .replace('log /dev/log local0', 'log stdout format raw local0')
        .replace(/^ +(user|group) haproxy\n/gm, '')
        .replace('bind :80\n', `bind 127.0.0.1:${http}\n`)
        .replace('bind :443 ', `bind 127.0.0.1:${https} `)
        .replace('/etc/haproxy/certs/drawbridge.pem', `${folder}/both.pem`),
    check: (file) => ['-c', '-q', '-f', file],
    run: (file) => ['-db', '-f', file],
  },
  caddy: {
    file: 'deploy/caddy/Caddyfile',
    adapt: (text, { folder, http, https, instances }) =>
      `{\n\tadmin off\n\thttp_port ${http}\n\thttps_port ${https}\n\tdefault_bind 127.0.0.1\n}\n` +
      instancesIn(text, instances).replace(
        `{$DOMAIN:${DOMAIN}} {\n`,
        `{$DOMAIN:${DOMAIN}} {\n\ttls ${folder}/fullchain.pem ${folder}/privkey.pem\n`,
      ),
    check: (file) => ['validate', '--adapter', 'caddyfile', '--config', file],
    run: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
  },
} satisfies Record<string, Program>;

export type ProxyName = keyof typeof PROGRAMS;
export const PROXIES = Object.keys(PROGRAMS) as ProxyName[];

/** A group of tests behind a proxy; the reporter lists it, and CI fails, when the proxy is not installed. */
export function describeWithProxy(name: ProxyName, title: string, fn: () => void): void {
  if (findProgram(name) && process.env['TEST_REDIS_URL']) describe(title, fn);
  else describe.skip(`${title} (there is no ${name} on PATH, or no Redis)`, fn);
}

export interface Proxy {
  https: number;
  http: number;
  isRunning(): boolean;
  /** Its output, and its error log. */
  output(): string;
  stop(): Promise<void>;
}

/** Starts a proxy with the configuration of `deploy/`, at free ports and with a certificate for {@link DOMAIN}. */
export async function startProxy(
  name: ProxyName,
  { key, certificate }: Certificate,
  instances: [number, number],
): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), `drawbridge-${name}-`));
  const program: Program = PROGRAMS[name];
  writeFileSync(join(folder, 'privkey.pem'), key);
  writeFileSync(join(folder, 'fullchain.pem'), certificate);
  writeFileSync(join(folder, 'both.pem'), certificate + key);
  const place = { folder, http: await freePort(), https: await freePort(), instances };
  const file = join(folder, 'config');
  writeFileSync(file, program.adapt(readFileSync(program.file, 'utf8'), place));
  const env = { PATH: process.env['PATH'], HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  execFileSync(findProgram(name)!, program.check(file, folder), { env, stdio: 'pipe' });
  const child: ChildProcess = spawn(findProgram(name)!, program.run(file, folder), {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk) => (text = (text + String(chunk)).slice(-100_000)));
  const log = join(folder, 'error.log');
  return {
    https: place.https,
    http: place.http,
    isRunning: () => child.exitCode === null,
    output: () => text + (existsSync(log) ? readFileSync(log, 'utf8') : ''),
    async stop() {
      if (child.exitCode === null) {
        const gone = once(child, 'exit');
        child.kill('SIGTERM');
        await gone;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
