import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { isAllowed, licencesOf } from '../licences.mjs';

/** Real: the workflows, the Dockerfile, the lock file and the configuration of Renovate, as they are. */

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
}
interface Workflow {
  on: Record<string, unknown>;
  permissions?: Record<string, string>;
  jobs: Record<
    string,
    {
      permissions?: Record<string, string>;
      'timeout-minutes'?: number;
      strategy?: { matrix: Record<string, unknown[]> };
      steps: Step[];
    }
  >;
}

const read = (file: string) => readFileSync(file, 'utf8');
const FOLDER = '.github/workflows';
const workflows = readdirSync(FOLDER).map((file) => ({
  file,
  text: read(`${FOLDER}/${file}`),
  workflow: parse(read(`${FOLDER}/${file}`)) as Workflow,
}));
const named = (file: string) => workflows.find((one) => one.file === file)!.workflow;
const manifest = JSON.parse(read('package.json'));
const lock = JSON.parse(read('package-lock.json'));

describe.each(workflows)('the workflow $file', ({ text, workflow }) => {
  const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);

  it('runs actions by their digest only, with the version as a comment', () => {
    const used = steps.flatMap(({ uses }) => (uses ? [uses] : []));
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((action) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/.test(action))).toEqual([]);
    expect(text.match(/uses: \S+ # v\d+\.\d+\.\d+$/gm)).toHaveLength(used.length);
  });

  it('has no right but to read, unless a job says so', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
  });

  it('never gives the code of a pull request the rights of the repository', () => {
    expect(Object.keys(workflow.on).filter((event) => /_target|workflow_run|issue/.test(event))).toEqual([]);
    const kept = steps.filter(
      ({ uses, with: options }) =>
        uses?.startsWith('actions/checkout@') && options?.['persist-credentials'] !== false,
    );
    expect(kept).toEqual([]);
  });

  it('puts no text of an event into a script, where it would be code', () => {
    expect(steps.filter(({ run }) => run?.includes('${{'))).toEqual([]);
  });

  it('ends jobs that hang', () => {
    for (const job of Object.values(workflow.jobs)) expect(job['timeout-minutes']).toBeGreaterThan(0);
  });
});

describe('the release', () => {
  it('pushes the image after the checks only, and signs its origin and its bill of materials', () => {
    const { on, jobs } = named('release.yml');
    expect(on).toEqual({ push: { tags: ['v*.*.*'] } });
    expect(jobs['test']!.permissions).toBeUndefined();
    expect(jobs['test']!.steps.at(-1)).toEqual({ run: '.ci/run' });
    expect(jobs['image']).toMatchObject({
      needs: 'test',
      permissions: { contents: 'read', packages: 'write', 'id-token': 'write', attestations: 'write' },
    });
    const digests = jobs['image']!.steps.map((step) => step.with?.['subject-digest']).filter(Boolean);
    expect(digests).toEqual(Array(2).fill('${{ steps.image.outputs.digest }}'));
    expect(jobs['image']!.steps.find(({ run }) => run?.includes('sbom'))!.run).toBe(
      'npm run --silent sbom > sbom.json',
    );
    expect(manifest.scripts.sbom).toMatch(/^npm sbom .*cyclonedx.*--omit dev/);
  });
});

describe('Node.js', () => {
  const versions: string[] = manifest.engines.node.match(/\d+\.\d+/g);

  it('is tested in each supported version, from the oldest on', () => {
    const tested = named('ci.yml').jobs['run']!.strategy!.matrix['node'] as string[];
    expect(tested.map((version) => Number.parseInt(version, 10))).toEqual(
      versions.map((version) => Number.parseInt(version, 10)),
    );
    expect(tested[0]).toBe(versions[0]);
  });

  it('is of one supported version in the image and for developers', () => {
    const used = [...read('Dockerfile').matchAll(/^FROM node:(\d+)/gm)].map(([, major]) => major);
    expect(new Set([...used, read('.nvmrc').trim()])).toEqual(new Set([versions.at(-1)!.split('.')[0]]));
  });
});

describe('the licences', () => {
  it('of all packages that are served are allowed', () => {
    const found = licencesOf(lock);
    expect(found.map(({ name }) => name)).toEqual(expect.arrayContaining(['typeorm', 'preact', 'pause']));
    expect(found.filter(({ licence }) => !isAllowed(licence))).toEqual([]);
  });

  it.each([
    ['MIT', true],
    ['GPL-3.0-only', false],
    ['(MIT OR GPL-3.0-only)', true],
    ['MIT AND GPL-3.0-only', false],
    ['none', false],
    ['SEE LICENSE IN LICENSE', false],
  ])('%s: allowed is %s', (licence, allowed) => {
    expect(isAllowed(licence)).toBe(allowed);
  });

  it('of a package without one in its manifest counts as none', () => {
    const packages = {
      'node_modules/a': { version: '1.0.0' },
      'node_modules/b': { version: '1.0.0', dev: true },
    };
    expect(licencesOf({ packages })).toEqual([{ name: 'a', version: '1.0.0', licence: 'none' }]);
  });
});

it('Renovate pins versions, waits before it proposes a release, and does not wait for a security fix', () => {
  expect(JSON.parse(read('renovate.json'))).toMatchObject({
    extends: expect.arrayContaining(['helpers:pinGitHubActionDigests', 'docker:pinDigests']),
    rangeStrategy: 'pin',
    minimumReleaseAge: '14 days',
    lockFileMaintenance: { enabled: true },
    vulnerabilityAlerts: { enabled: true, minimumReleaseAge: null },
  });
});
