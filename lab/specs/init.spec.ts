import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { Tree } from '../products/trees.js';

/** Real: the commands, on a copy of this repository. `.ci/init.mjs` runs all checks and tests on such products. */

/** The licence keeps its notice, and the manifest names the origin. */
const MAY_NAME_THE_TEMPLATE = ['LICENSE', '.template.json'];

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');

describe('npm run init', () => {
  let template: Tree;
  let commit: string;

  beforeAll(() => {
    template = Tree.ofThisRepository();
    commit = template.commit('the template');
  });

  afterAll(() => template.remove());

  it.each([
    ['Acme', /--name "Acme" is not allowed: 3 to 31 lower-case letters and digits/],
    ['my-shop', /--name "my-shop" is not allowed: 3 to 31 lower-case letters and digits/],
    ['ab', /3 to 31/],
    ['a'.repeat(32), /3 to 31/],
    ['1password', /a letter first/],
    ['postgres', /the code or a store uses this word already/],
    ['class', /the code or a store uses this word already/],
    ['drawbridge', /the code or a store uses this word already/],
  ])('refuses the name "%s" and says what is allowed', (name, reason) => {
    const { status, output } = template.run('init', '--name', name);
    expect(output).toMatch(reason);
    expect(status).toBe(1);
    expect(template.git('status', '--porcelain')).toBe('');
  });

  it.each([
    [['--title', 'acme'], /--title "acme" is not allowed: at most 40 letters, digits and single spaces/],
    [['--title', 'Acme <b>'], /--title "Acme <b>" is not allowed/],
    [['--key-prefix', 'a_b'], /--key-prefix "a_b" is not allowed: 2 to 16/],
    [
      ['--without', 'examples,tests'],
      /--without "tests" is not allowed: allowed are examples, oauth, console/,
    ],
  ])('refuses %j and says what is allowed', (options, reason) => {
    const { status, output } = template.run('init', '--name', 'acme', ...options);
    expect(output).toMatch(reason);
    expect(status).toBe(1);
  });

  it('refuses a working tree with changes, so that git can undo it', () => {
    template.write('notes.txt', 'mine');
    const { status, output } = template.run('init', '--name', 'acme');
    template.git('clean', '-q', '-f');
    expect(output).toMatch(/the working tree has changes/);
    expect(status).toBe(1);
  });

  it('lists with --dry-run what it would do, and does nothing', () => {
    const { status, output } = template.run(
      'init',
      '--name',
      'acme',
      '--without',
      'examples,console,oauth',
      '--dry-run',
    );
    expect(status).toBe(0);
    expect(output).toContain('change src/product.ts\n');
    expect(output).toContain('remove src/examples/examples.module.ts\n');
    expect(output).toMatch(/^remove src\/console\/.*\n/m);
    expect(output).toMatch(/^remove src\/auth\/oauth\/.*\n/m);
    expect(template.git('status', '--porcelain')).toBe('');
  });

  describe('makes of a clone a product that', () => {
    let product: Tree;
    let output: string;

    beforeAll(() => {
      product = Tree.cloneOf(template);
      ({ output } = product.run('init', '--name', 'acmeshop', '--title', 'Acme Shop', '--key-prefix', 'acs'));
    });

    afterAll(() => product.remove());

    it('has no trace of the old name in any path or text, except the licence and the manifest', () => {
      expect(output).toContain('The product is Acme Shop.');
      expect(product.git('ls-files')).not.toMatch(/drawbridge/i);
      expect(product.filesWith('drawbridge', MAY_NAME_THE_TEMPLATE)).toEqual([]);
      expect(product.filesWith('acmeshop').length).toBeGreaterThan(100);
    });

    it('has the new name where people and machines see one', () => {
      expect(product.read('src/product.ts')).toContain("productOf('Acme Shop', 'acmeshop', 'acs')");
      expect(JSON.parse(product.read('package.json'))).toMatchObject({ name: 'acmeshop', version: '0.1.0' });
      expect(JSON.parse(product.read('package-lock.json'))).toMatchObject({ name: 'acmeshop' });
      expect(JSON.parse(product.read('packages/client/package.json'))).toMatchObject({
        name: '@acmeshop/client',
      });
      expect(product.read('packages/client/src/client.ts')).toContain("const PRODUCT = 'acmeshop';");
      expect(product.read('packages/verifier/src/refusal.ts')).toContain("const PRODUCT = 'acmeshop';");
      expect(product.read('docker-compose.yml')).toContain(
        'postgres://acmeshop_app:acmeshop_app@postgres:5432/acmeshop',
      );
      expect(product.read('docker/postgres-roles.sql')).toContain('create role acmeshop_app');
      expect(product.read('docker/redis-users.acl')).toContain('user acmeshop on >acmeshop ~acmeshop:*');
      expect(product.read('.env.example')).toContain('# MAIL_FROM=Acme Shop <no-reply@localhost>');
      expect(product.read('README.md')).toMatch(/^# Acme Shop\n/);
      expect(product.read('LICENSE')).toContain('Drawbridge');
    });

    it('begins its own changelog, and has no proofs of this command', () => {
      expect(product.read('CHANGELOG.md')).toMatch(/^# Changelog\n[^#]*## Unreleased\n$/);
      for (const file of ['.ci/init.mjs', 'lab/products', 'lab/specs/init.spec.ts'])
        expect(product.has(file)).toBe(false);
      expect(product.read('.ci/run')).not.toContain('init.mjs');
    });

    it('knows its origin: version, commit, and the hash of each file before and after', () => {
      const manifest = JSON.parse(product.read('.template.json'));
      expect(manifest).toMatchObject({
        template: { name: 'Drawbridge', slug: 'drawbridge', keyPrefix: 'dbk', version: '0.1.0', commit },
        product: { name: 'Acme Shop', slug: 'acmeshop', keyPrefix: 'acs' },
        without: [],
      });
      const left = product
        .git('ls-files', '--cached')
        .trim()
        .split('\n')
        .filter((file) => product.has(file));
      expect(Object.keys(manifest.files).sort()).toEqual(left.sort());
      for (const file of ['src/product.ts', 'src/main.ts']) {
        const [before, after] = [template, product].map((tree) => hashOf(tree.read(file)));
        expect(manifest.files[file]).toEqual(before === after ? [before] : [before, after]);
      }
    });

    it('is as prettier and the prose check want it, though the new name has another length', () => {
      const changed = product.git('diff', '--name-only', '--diff-filter=M').trim().split('\n');
      const formatted = changed.filter((file) =>
        /^(src|test|lab|packages)\/.*[.](ts|tsx|mjs|md)$/.test(file),
      );
      expect(formatted.length).toBeGreaterThan(50);
      product.runNode('node_modules/prettier/bin/prettier.cjs', '--check', ...formatted);
      product.runNode('lab/prose.mjs');
    });

    it('refuses a second init', () => {
      const { status, output } = product.run('init', '--name', 'other');
      expect(output).toMatch(/\.template\.json exists/);
      expect(status).toBe(1);
    });
  });
});
