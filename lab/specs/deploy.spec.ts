import { expect, it } from '@jest/globals';
import { validate } from 'dockerfile-utils';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { MAX_DRAIN_MS, MAX_HANDOVER_MS } from '../../src/platform/http/shutdown.js';
import { milliseconds } from '../../src/platform/settings/duration.js';
import { loadSettings } from '../../src/platform/settings/load-settings.js';
import { describeWithProgram } from '../manifests/programs.js';
import { typeErrorsOf, type Manifest } from '../manifests/kubernetes-types.js';

/** Real: systemd-analyze, docker-compose, kubectl, as far as they need no daemon and no cluster. */

const read = (file: string) => readFileSync(join('deploy', file), 'utf8');
const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' });

describeWithProgram('systemd-analyze', 'the systemd unit', (program) => {
  it('is valid, and exposes little to an attacker who takes over an instance', () => {
    const folder = mkdtempSync(join(tmpdir(), 'drawbridge-unit-'));
    const unit = join(folder, 'drawbridge@3001.service');
    const text = read('systemd/app@.service')
      .replace('ExecStart=/usr/bin/node', `ExecStart=${process.execPath}`)
      .replace('WorkingDirectory=/opt/drawbridge', `WorkingDirectory=${folder}`);
    writeFileSync(unit, text);
    try {
      expect(run(program, 'verify', '--man=no', unit)).toBe('');
      // Fails above 2.0 of 10.
      run(program, 'security', '--offline=true', '--threshold=20', '--no-pager', unit);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

it('the environment file of the systemd unit names only settings, and enough of them for production', () => {
  const lines = read('systemd/app.env').matchAll(/^([A-Z_]+)=(.*)$/gm);
  const env = Object.fromEntries([...lines].map(([, name, value]) => [name!, value!]));
  const documented = readFileSync('docs/reference/settings.md', 'utf8');
  for (const name of Object.keys(env)) expect(documented).toContain(`\`${name}\``);
  const settings = loadSettings({ ...env, NODE_ENV: 'production', METRICS_TOKEN: 'x'.repeat(20) });
  expect(settings.trustedProxies).toEqual(['127.0.0.1']);
});

it('the Dockerfile passes the linter, which finds an instruction that is wrong', () => {
  const text = readFileSync('Dockerfile', 'utf8');
  const faultsOf = (file: string) => validate(file, {}).map(({ message }) => message);
  expect(faultsOf(text)).toEqual([]);
  expect(faultsOf(text.replace('EXPOSE 3000', 'EXPOSE http'))).toHaveLength(1);
});

describeWithProgram('docker-compose', 'docker-compose.yml', (program) => {
  it.each([
    [[], ['mail', 'postgres', 'redis']],
    [['app'], ['app', 'app-2', 'mail', 'migrate', 'postgres', 'redis']],
  ])('is valid with the profiles %j', (profiles, expected) => {
    const chosen = profiles.flatMap((profile) => ['--profile', profile]);
    const services = run(program, ...chosen, 'config', '--services')
      .trim()
      .split('\n')
      .sort();
    expect(services).toEqual(expect.arrayContaining(expected));
  });

  it('has instances in the profile `production` that boot with the variables of docs/operations/deploy.md', () => {
    const page = readFileSync('docs/operations/deploy.md', 'utf8');
    const [, example] = /```sh\n(DOMAIN=[^]*?)```/.exec(page)!;
    const folder = mkdtempSync(join(tmpdir(), 'drawbridge-compose-'));
    const file = join(folder, 'production.env');
    writeFileSync(file, example!.replaceAll('…', 'x'.repeat(24)));
    const { services } = parse(run(program, '--env-file', file, '--profile', 'production', 'config'));
    rmSync(folder, { recursive: true });
    for (const name of ['api-1', 'api-2']) {
      const { environment, stop_grace_period: grace, read_only: isReadOnly } = services[name];
      const settings = loadSettings({ NODE_ENV: 'production', ...environment });
      expect(settings.appUrl).toBe('https://app.example.com');
      expect(milliseconds(grace)).toBeGreaterThan(settings.shutdownDelay + MAX_HANDOVER_MS + MAX_DRAIN_MS);
      expect(isReadOnly).toBe(true);
    }
    expect(services.caddy.environment.INSTANCES).toBe('api-1:3000 api-2:3000');
  });
});

describeWithProgram('kubectl', 'the Kubernetes manifests', (program) => {
  const manifestsOf = (base: string) =>
    parseAllDocuments(run(program, 'kustomize', join('deploy/kubernetes', base))).map(
      (document) => document.toJS() as Manifest,
    );
  const [base, migrate] = program ? [manifestsOf('base'), manifestsOf('migrate')] : [[], []];
  const all = [...base, ...migrate];
  const find = (kind: string) => all.find((manifest) => manifest.kind === kind)!;

  it('have only fields that the API of Kubernetes has, with values of the right type', () => {
    expect(typeErrorsOf(all)).toEqual([]);
    const deployment = structuredClone(find('Deployment'));
    deployment['spec'].template.spec.containers[0].readinesProbe = {};
    expect(typeErrorsOf([deployment]).join()).toMatch(/readinesProbe\W+ does not exist/);
  });

  it('fit together: labels, names, ports, and the time for a shutdown', () => {
    const { template, selector, replicas } = find('Deployment')['spec'];
    const { labels } = template.metadata;
    const [container] = template.spec.containers;
    expect(replicas).toBeUndefined(); // of the autoscaler
    expect(find('HorizontalPodAutoscaler')['spec'].minReplicas).toBeGreaterThanOrEqual(2);
    const ofPods = [
      selector.matchLabels,
      find('Service')['spec'].selector,
      find('PodDisruptionBudget')['spec'].selector.matchLabels,
      ...template.spec.topologySpreadConstraints.map(
        (constraint: Manifest) => constraint['labelSelector'].matchLabels,
      ),
    ];
    for (const labelsWanted of ofPods) expect(labels).toEqual(labelsWanted);
    expect(labels).toMatchObject(find('NetworkPolicy')['spec'].podSelector.matchLabels);
    expect(find('Service')['spec'].ports[0].targetPort).toBe(container.ports[0].name);
    expect(find('HorizontalPodAutoscaler')['spec'].scaleTargetRef.name).toBe(
      find('Deployment').metadata.name,
    );
    expect(container.envFrom[0].configMapRef.name).toBe(find('ConfigMap').metadata.name);
    expect(new Set(base.map(({ metadata }) => metadata.namespace))).toEqual(new Set(['drawbridge']));
    const { SHUTDOWN_DELAY } = find('ConfigMap')['data'];
    expect(template.spec.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(
      milliseconds(SHUTDOWN_DELAY) + MAX_HANDOVER_MS + MAX_DRAIN_MS,
    );
  });

  it('run as the standard `restricted` demands, without a file system to write to', () => {
    for (const kind of ['Deployment', 'Job']) {
      const { securityContext, containers } = find(kind)['spec'].template.spec;
      expect(securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(containers[0].securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(containers[0].resources.limits.memory).toMatch(/^\d+Mi$/);
    }
  });

  it('give an instance settings that it accepts, with the secrets of docs/operations/deploy.md', () => {
    const [container] = find('Deployment')['spec'].template.spec.containers;
    const settings = loadSettings({
      NODE_ENV: 'production',
      ...find('ConfigMap')['data'],
      KEYS_FILE: container.env[0].value,
      DATABASE_URL: 'postgres://drawbridge_app:x@db.example.com/drawbridge',
      REDIS_URL: 'rediss://drawbridge:x@redis.example.com:6379',
      SMTP_URL: 'smtps://mail.example.com',
      MAIL_FROM: 'Example <no-reply@example.com>',
      METRICS_TOKEN: 'x'.repeat(20),
    });
    expect(settings.port).toBe(container.ports[0].containerPort);
  });
});
