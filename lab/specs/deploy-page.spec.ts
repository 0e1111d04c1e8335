import { afterAll, expect, it } from '@jest/globals';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from '../../test/support/outside-person.js';
import { startPostgres, startRedis, type Service } from '../../test/support/services.mjs';
import { eventually } from '../../test/support/waiting.js';
import { describeWithProgram } from '../manifests/programs.js';

/**
 * Real: the commands of docs/operations/deploy.md, PostgreSQL, Redis with its access list, and the command and the environment
 * of the systemd unit. Only what needs the whole machine is left out: users, packages, systemd itself.
 */
describeWithProgram('redis-server', 'the page docs/operations/deploy.md', () => {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-deploy-page-'));
  chmodSync(folder, 0o755); // Redis runs as another user
  const services: Service[] = [];
  let instance: ChildProcess | undefined;
  afterAll(async () => {
    instance?.kill('SIGKILL');
    await Promise.all(services.map((service) => service.stop()));
    rmSync(folder, { recursive: true });
  });

  const page = readFileSync('docs/operations/deploy.md', 'utf8');
  /** The commands of a step. */
  const blocksOf = (step: string): string[] => {
    const section = page.split(/^## /m).find((text) => text.startsWith(step))!;
    return [...section.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block]) => block!);
  };
  const place = (text: string) =>
    text
      .replaceAll('/opt/drawbridge', `${folder}/opt`)
      .replaceAll('/etc/drawbridge', `${folder}/etc`)
      .replaceAll('/etc/redis', `${folder}`)
      .replaceAll(/ -o root -g \w+/g, '')
      .replaceAll(/^useradd .*\n|^npm .*\n|^systemctl .*\n/gm, '')
      .replaceAll(/^chown \S+ \S+ && /gm, '')
      .replaceAll('OWNER_PASSWORD', 'owner')
      .replaceAll(/(APP|REDIS)_PASSWORD/g, 'secret');
  const run = (script: string) =>
    execFileSync('bash', ['-euc', script], { stdio: 'ignore', env: { PATH: process.env['PATH'] } });

  it('leads to an instance that is ready, with a role and a Redis user of least privilege', async () => {
    const postgres = await startPostgres();
    services.push(postgres);
    const { host } = new URL(postgres.url);
    run(
      place(blocksOf('2.').join('')).replace(' node_modules ', ' ') +
        `ln -s "$PWD/node_modules" ${folder}/opt/`,
    );
    run(place(blocksOf('3.')[0]!));
    const [databases, redisUsers] = blocksOf('4.').map(place);
    run(databases!.replace('su postgres -c psql', `psql ${postgres.url}`).replaceAll('127.0.0.1:5432', host));
    run(redisUsers!);
    run(`chmod 644 ${folder}/users.acl`);
    const redis = (await startRedis({ args: ['--aclfile', join(folder, 'users.acl')] }))!;
    services.push(redis);
    run(place(blocksOf('5.')[0]!));

    const lines = place(readFileSync(join(folder, 'etc/app.env'), 'utf8'))
      .replace('127.0.0.1:5432', host)
      .replace('127.0.0.1:6379', new URL(redis.url).host)
      .replace('METRICS_TOKEN=', `METRICS_TOKEN=${'x'.repeat(24)}`);
    const settings = Object.fromEntries([...lines.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, ...pair]) => pair));
    const unit = place(readFileSync('deploy/systemd/app@.service', 'utf8'));
    const [, environment] = /^Environment=(.*)$/m.exec(unit)!;
    const [, program] = /^ExecStart=\/usr\/bin\/node (.*)$/m.exec(unit)!;
    const port = await freePort();
    const fixed = environment!.replace('%i', String(port)).split(' ');
    instance = spawn(process.execPath, program!.split(' '), {
      cwd: resolve(folder, 'opt'),
      env: { ...settings, ...Object.fromEntries(fixed.map((pair) => pair.split('='))) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    instance.stdout!.resume();
    await eventually(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/health/ready`);
      expect(await answer.json()).toMatchObject({ status: 'ok', cache: 'ok' });
    });
    instance.kill('SIGTERM');
    expect((await once(instance, 'exit'))[0]).toBe(0);
  });
});
