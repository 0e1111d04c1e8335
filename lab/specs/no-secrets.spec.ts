import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { loadSettings, SettingsError } from '../../src/platform/settings/load-settings.js';
import '../../src/app.module.js'; // modules declare settings of their own
import { allSettings } from '../../src/platform/settings/feature-settings.js';
import { SETTINGS, variableOf } from '../../src/platform/settings/settings.js';
import type { Setting } from '../../src/platform/settings/setting.js';

/** Real: the files, the history of this clone, and the content of the image. */

const SECRETS: Record<string, RegExp> = {
  'a private key': /-----BEGIN [A-Z ]*PRIVATE KEY-----(\\n|\s)*[A-Za-z0-9+/=]{40}/g,
  // Not a DPoP proof (`{"typ":"dpop+jwt"`), such as those of RFC 9449: each is good for one request of a minute.
  'a token that was signed': /\beyJ(?!0eXAiOiJkcG9wK2p3dCI)[\w-]{10,}\.eyJ[\w-]{20,}\.[\w-]{40,}/g,
  'a key file': /"(refresh|secret)": *\[? *"[\w-]{43}"/g,
  'a key of AWS': /\bAKIA[0-9A-Z]{16}\b/g,
  'a token of GitHub, npm, Slack or Stripe':
    /\b(gh[opsu]_\w{36}|github_pat_\w{40}|npm_\w{36}|xox[abp]-[\w-]{20}|sk_live_\w{20})/g,
  // One that is the user's name is a sample, as in docker-compose.yml, whatever the product's name is.
  'a password in a URL':
    /\b[a-z+]{4,12}:\/\/([\w.-]*):(?!(\1|hunter2|pw|app|…|x)@)[^\s@/:'"`${]{6,}@(?!localhost|127\.)[\w.-]+/g,
};

function secretsIn(text: string): string[] {
  return Object.entries(SECRETS).flatMap(([what, pattern]) =>
    [...text.matchAll(pattern)].map(([found]) => `${what}: ${found.slice(0, 30)}…`),
  );
}

const git = (...args: string[]) =>
  execFileSync('git', ['-c', 'safe.directory=*', ...args], { encoding: 'utf8', maxBuffer: 1 << 30 });
const FOLDERS = ['src', 'test', 'packages', 'docs', 'docker', 'lab'];

describe('no secret is', () => {
  it('missed by these patterns [KEY-01]', () => {
    const key = 'A'.repeat(64);
    for (const text of [
      `-----BEGIN PRIVATE KEY-----\n${key}`,
      `"-----BEGIN EC PRIVATE KEY-----\\n${key}"`,
      `eyJ${'a'.repeat(20)}.eyJ${'b'.repeat(30)}.${'c'.repeat(86)}`,
      `"refresh": ["${'x'.repeat(43)}"]`,
      `postgres://app:${'s3cret'.repeat(2)}@db.example.com/app`,
      `AKIA${'B'.repeat(16)}`,
    ])
      expect(secretsIn(text)).toHaveLength(1);
  });

  it('in a file [KEY-01]', () => {
    const files = existsSync('.git')
      ? git('ls-files').trim().split('\n')
      : FOLDERS.filter(existsSync).flatMap((folder) =>
          readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
        );
    const texts = files.filter(
      (file) => /\.\w+$/.test(file) && !file.endsWith('package-lock.json') && existsSync(file),
    );
    expect(texts.length).toBeGreaterThan(100);
    const found = texts.flatMap((file) =>
      secretsIn(readFileSync(file, 'utf8')).map((what) => `${file}: ${what}`),
    );
    expect(found).toEqual([]);
  });

  it('in the history [KEY-01]', () => {
    const history = existsSync('.git')
      ? git('log', '--patch', '--unified=0', '--', '.', ':!package-lock.json')
      : '';
    expect(secretsIn(history)).toEqual([]);
  });

  it('copied into the image, which consists of the listed files only [KEY-01]', () => {
    const [first, ...rest] = readFileSync('.dockerignore', 'utf8').trim().split('\n');
    expect(first).toBe('*');
    const named = rest.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    const listed = [
      '.npmrc',
      'bundle.js',
      'nest-cli.json',
      'package-lock.json',
      'package.json',
      'packages/client/src',
      'packages/console',
      'src',
      'tsconfig.json',
    ];
    expect(named.filter((line) => !listed.includes(line))).toEqual([]);
    const dockerfile = readFileSync('Dockerfile', 'utf8');
    expect(dockerfile).not.toMatch(/^(ARG|ENV) .*(SECRET|PASSWORD|TOKEN|KEY)/im);
    expect(dockerfile).not.toMatch(/^ADD /m);
    expect(dockerfile).toMatch(/^USER 1000$/m);
    const ignored = readFileSync('.gitignore', 'utf8').split('\n');
    for (const file of ['.env', '.data/']) expect(ignored).toContain(file);
  });

  it('a default [KEY-01]', () => {
    for (const [name, setting] of Object.entries(SETTINGS as Record<string, Setting<unknown>>)) {
      if (setting.secret) expect({ name, fallback: setting.fallback }).toEqual({ name, fallback: undefined });
    }
  });
});

describe('production does not start', () => {
  const complaintsOf = (env: Record<string, string | undefined>) => {
    try {
      loadSettings(env);
      return [];
    } catch (error) {
      return (error as SettingsError).lines.map((line) => line.split(' ')[0]);
    }
  };

  it('with the example of an environment [KEY-01]', () => {
    const example = readFileSync('.env.example', 'utf8').replaceAll(/^# (?=[A-Z_]+=)/gm, '');
    const env = parseEnv(example);
    expect(Object.keys(env).sort()).toEqual([...allSettings.keys()].map(variableOf).sort());
    expect(complaintsOf(env)).toEqual([]);
    expect(complaintsOf({ ...env, NODE_ENV: 'production' })).toEqual(
      expect.arrayContaining(['DATABASE_URL', 'REDIS_URL', 'KEYS_FILE']),
    );
  });

  it.each([
    ['DATABASE_URL', 'postgres://drawbridge:drawbridge@localhost/app'],
    ['DATABASE_URL', 'postgres://drawbridge_app:drawbridge_app@localhost/app'],
    ['REDIS_URL', 'redis://drawbridge:drawbridge@localhost'],
  ])('with a password of docker-compose.yml: %s=%s [KEY-01, OPS-03]', (variable, url) => {
    const env = {
      NODE_ENV: 'production',
      DATABASE_URL: 'postgres://app:one-of-its-own@localhost/app',
      REDIS_URL: 'redis://localhost',
      KEYS_FILE: '/keys.json',
    };
    expect(complaintsOf(env)).toEqual([]);
    expect(complaintsOf({ ...env, [variable]: url })).toEqual([variable]);
    expect(complaintsOf({ ...env, NODE_ENV: 'development', [variable]: url })).toEqual([]);
    // These are the published ones.
    const files = ['docker-compose.yml', 'docker/postgres-roles.sql', 'docker/redis-users.acl'].filter(
      existsSync,
    );
    const text = files.map((file) => readFileSync(file, 'utf8')).join('\n');
    expect(text).toContain(new URL(url).password);
  });
});
