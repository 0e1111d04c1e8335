import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { edit, EDITED, productOf } from '../products/products.js';
import { Tree } from '../products/trees.js';

/** Real: the commands and git. A product is made of an old version, edited, and upgraded to a new one. */

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');

let old: Tree;
let next: Tree;
let oldCommit: string;

beforeAll(() => {
  old = Tree.ofThisRepository();
  oldCommit = old.commit('version 0.1.0');
  next = Tree.cloneOf(old);
  releaseNext(next);
});

afterAll(() => [old, next].forEach((tree) => tree.remove()));

/** Changes files that the product has edited, elsewhere and at the same place, and files that it has not. */
function releaseNext(tree: Tree): void {
  tree.edit('package.json', '"version": "0.1.0"', '"version": "0.2.0"');
  tree.edit(
    'package.json',
    '"scale:model": "node lab/model/main.mjs"',
    '"scale:model": "node lab/model/new.mjs"',
  );
  tree.write('src/roles.ts', `${tree.read('src/roles.ts')}\n// The end of Drawbridge's roles.\n`);
  tree.write('SECURITY.md', tree.read('SECURITY.md').replace('three working days', 'two working days'));
  tree.edit(
    'src/auth/login/logout.service.ts',
    '    for (const session of',
    '    // The fix of 0.2.0.\n    for (const session of',
  );
  tree.write('src/main.ts', `${tree.read('src/main.ts')}\n// Drawbridge 0.2.0\n`);
  tree.write('docs/guides/new.md', '# New in Drawbridge\n');
  tree.write('src/examples/payments/new.ts', '// A new example.\n');
  rmSync(tree.path('docs/explanation/bloom-filter.md'));
  tree.edit('docs/tutorial/force-logout.md', '#', '# Drawbridge:');
  tree.edit('src/features.ts', '\n', '\n// A line of the new version.\n');
  tree.commit('version 0.2.0');
}

describe('npm run upgrade', () => {
  describe('of a product with ten edited files', () => {
    let product: Tree;
    let upgrade: ReturnType<Tree['run']>;

    beforeAll(() => {
      product = productOf(old, '--without', 'examples');
      edit(product);
      expect(
        product.git('diff', '--name-only', '--diff-filter=M', 'HEAD~1').trim().split('\n').sort(),
      ).toEqual([...EDITED].sort());
      upgrade = product.run('upgrade', next.folder);
    });

    afterAll(() => product.remove());

    it('brings what only the new version has changed, under the name of the product, without a word', () => {
      expect(product.read('src/main.ts')).toMatch(/\n\/\/ Acme 0\.2\.0\n$/);
      expect(product.read('docs/guides/new.md')).toBe('# New in Acme\n');
      expect(product.has('docs/explanation/bloom-filter.md')).toBe(false);
      for (const file of ['src/main.ts', 'docs/guides/new.md', 'bloom-filter.md'])
        expect(upgrade.output).not.toContain(file);
      expect(upgrade.output).toMatch(
        /^From 0\.1\.0 \(\w{10}\) to 0\.2\.0 \(\w{10}\): 5 files written, 1 removed\.\n/,
      );
    });

    it('keeps what only the product has changed', () => {
      for (const file of ['src/claims.ts', 'src/app.module.ts', 'src/product.ts'])
        expect(product.read(file)).toMatch(/^\/\/ Ours\.\n/);
      expect(product.read('README.md')).toMatch(/^# Acme, our shop\n/);
      expect(product.read('docker-compose.yml')).toContain('postgres:18-bookworm');
      expect(product.read('src/shop/shop.ts')).toBe('// Not of the template.\n');
    });

    it('merges changes of both at different places, and lists the files', () => {
      expect(product.read('src/roles.ts')).toMatch(/^\/\/ Ours\.\n[^]*\n\/\/ The end of Acme's roles\.\n$/);
      const manifest = JSON.parse(product.read('package.json'));
      expect(manifest).toMatchObject({
        name: 'acme',
        version: '3.1.4',
        scripts: { 'scale:model': 'node lab/model/new.mjs' },
      });
      const [, merged] = /are merged; read them:\n((?: {2}.+\n)+)/.exec(upgrade.output)!;
      expect(merged!.trim().split(/\n\s*/)).toEqual(expect.arrayContaining(['package.json', 'src/roles.ts']));
    });

    it('reports each conflict, with both sides in the file, and ends with 1', () => {
      const [, conflicts] = /Conflicts\..*\n((?: {2}.+\n)+)/.exec(upgrade.output)!;
      expect(conflicts!.trim().split(/\n\s*/)).toEqual(['SECURITY.md', 'src/auth/login/logout.service.ts']);
      expect(product.read('src/auth/login/logout.service.ts')).toMatch(
        /<<<<<<< yours\n {4}\/\/ Ours\.\n=======\n {4}\/\/ The fix of 0\.2\.0\.\n>>>>>>> new-version\n/,
      );
      expect(upgrade.status).toBe(1);
    });

    it('does not bring back a file that the product has deleted, and reports it', () => {
      expect(product.has('docs/tutorial/force-logout.md')).toBe(false);
      expect(upgrade.output).toMatch(
        /Nothing was done; decide:\n {2}docs\/tutorial\/force-logout\.md \(deleted by you\)\n/,
      );
    });

    it('does not bring back parts that the product is made without', () => {
      expect(product.has('src/examples')).toBe(false);
      expect(upgrade.output).not.toContain('src/examples');
    });

    it('writes the new origin into the manifest, for the next upgrade', () => {
      const manifest = JSON.parse(product.read('.template.json'));
      expect(manifest.template).toMatchObject({
        version: '0.2.0',
        commit: next.git('rev-parse', 'HEAD').trim(),
      });
      expect(manifest.without).toEqual(['examples']);
      expect(manifest.files['src/main.ts']).toEqual([
        hashOf(next.read('src/main.ts')),
        hashOf(product.read('src/main.ts')),
      ]);
      product.git('checkout', '-q', 'HEAD', '--', 'SECURITY.md', 'src/auth/login/logout.service.ts');
      product.commit('upgraded');
      const again = product.run('upgrade', next.folder);
      expect(again.output).toMatch(/^From 0\.2\.0 .* to 0\.2\.0 .*: 0 files written, 0 removed\.\n/);
      expect(again.status).toBe(0);
    });
  });

  it('refuses changes that are not committed, a folder that is no template, and a missing base', () => {
    const product = productOf(old);
    const archive = product.path('.git/next.tar.gz');
    execFileSync('git', ['archive', '-o', archive, 'HEAD'], { cwd: next.folder });
    expect(product.run('upgrade')).toMatchObject({
      status: 2,
      output: expect.stringMatching(/name a checkout or an archive/),
    });
    expect(product.run('upgrade', product.path('docs')).output).toMatch(/is no version of the template/);
    product.edit('.template.json', oldCommit, '0'.repeat(40));
    product.commit('an unknown origin');
    expect(product.run('upgrade', archive).output).toMatch(
      /name a checkout or an archive of that version with --base/,
    );
    expect(product.run('upgrade', archive, '--base', archive).output).toMatch(
      /is version 0\.2\.0, but this product was made of 0\.1\.0/,
    );
    product.write('mine.txt', 'mine');
    expect(product.run('upgrade', archive).output).toMatch(/the working tree has changes/);
    product.remove();
  });

  it('takes an archive, finds the base in the history of the product or by --base, and needs no person for an unedited product', () => {
    const product = productOf(old);
    const archive = product.path('.git/next.tar.gz');
    execFileSync('git', ['archive', '--prefix=template-0.2.0/', '-o', archive, 'HEAD'], { cwd: next.folder });
    for (const options of [[], ['--base', old.folder]]) {
      const { status, output } = product.run('upgrade', archive, ...options);
      expect(output).toMatch(/^From 0\.1\.0 \(\w{10}\) to 0\.2\.0: \d+ files written, 1 removed\.\n\nThen:/);
      expect(status).toBe(0);
      expect(product.read('src/main.ts')).toMatch(/\n\/\/ Acme 0\.2\.0\n$/);
      product.git('reset', '-q', '--hard');
      product.git('clean', '-q', '-f', '-d');
    }
    product.remove();
  });
});
