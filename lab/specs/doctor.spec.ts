import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { edit, productOf } from '../products/products.js';
import { Tree } from '../products/trees.js';

/** Real: the command, on a product of this repository that its owner has edited. */

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');

describe('npm run doctor', () => {
  let template: Tree;
  let product: Tree;
  const advisory = (id: string, fields: object) =>
    product.write(
      `advisories/${id}.json`,
      JSON.stringify({
        id,
        title: `Fault ${id}`,
        severity: 'high',
        introduced: '0.1.0',
        fixed: '0.2.0',
        action: 'Upgrade.',
        ...fields,
      }),
    );
  const faulty = (...paths: string[]) => ({
    files: paths.map((path) => ({ path, sha256: [hashOf('another release'), hashOf(template.read(path))] })),
  });

  beforeAll(() => {
    template = Tree.ofThisRepository();
    template.commit('version 0.1.0');
    product = productOf(template, '--without', 'examples');
    edit(product);
  });

  afterAll(() => [template, product].forEach((tree) => tree.remove()));

  it('finds nothing to do without advisories', () => {
    expect(product.run('doctor')).toMatchObject({
      status: 0,
      output: expect.stringMatching(/^0 advisories, 0 of them concern/),
    });
  });

  it('says of each advisory whether the product is affected, is edited, or has nothing to do', () => {
    advisory('ADV-1', faulty('src/product.ts', 'src/platform/http/cookie-names.ts')); // one edited, one as delivered
    advisory('ADV-2', faulty('src/auth/login/logout.service.ts')); // edited
    advisory('ADV-3', faulty('src/examples/examples.module.ts')); // a part that was removed
    advisory('ADV-4', { files: [{ path: 'src/main.ts', sha256: [hashOf('an older main.ts')] }] });
    advisory('ADV-5', {}); // by version
    advisory('ADV-6', { introduced: '0.0.1', fixed: '0.1.0' });
    const { status, output } = product.run('doctor');
    expect(status).toBe(1);
    expect(output).toMatch(/^6 advisories, 3 of them concern this product \(made of 0\.1\.0\)\.\n/);
    expect(output).toMatch(
      /\nADV-1 \(high\): Fault ADV-1\n {2}AFFECTED\n {2}src\/product\.ts: edited or moved\n {2}src\/platform\/http\/cookie-names\.ts: as it was delivered\n {2}fixed in 0\.2\.0\n {2}Upgrade\.\n/,
    );
    expect(output).toMatch(
      /\nADV-2 \(high\): .*\n {2}LOOK: you have edited .*\n {2}src\/auth\/login\/logout\.service\.ts: edited or moved\n/,
    );
    expect(output).toMatch(/\nADV-5 \(high\): .*\n {2}AFFECTED\n {2}fixed in/);
    expect(output).not.toMatch(/ADV-[346]/);
  });

  it('leaves out what a person has reviewed', () => {
    product.edit('.template.json', '"reviewed": []', '"reviewed": ["ADV-1", "ADV-2", "ADV-5"]');
    expect(product.run('doctor')).toMatchObject({ status: 0 });
  });

  it('names a Node that is too old', () => {
    const manifest = product.read('package.json');
    product.write('package.json', manifest.replace(/"node": ".*"/, '"node": "^18.0.0 || >=99.1.0"'));
    const { status, output } = product.run('doctor');
    product.write('package.json', manifest);
    expect(output).toMatch(
      /Node \d+\.\d+\.\d+ is too old or has no support: use \^18\.0\.0 \|\| >=99\.1\.0\./,
    );
    expect(status).toBe(1);
  });

  it('refuses an advisory with wrong fields, and a copy without a manifest', () => {
    advisory('ADV-7', { severity: 'bad', files: [{ path: 'src/main.ts', sha256: ['abc'] }] });
    expect(product.run('doctor')).toMatchObject({
      status: 2,
      output: expect.stringMatching(/ADV-7\.json has wrong fields: severity, files\./),
    });
    expect(template.run('doctor')).toMatchObject({
      status: 2,
      output: expect.stringMatching(/\.template\.json is missing/),
    });
  });

  it('reads the advisories of a newer version of the template', () => {
    expect(product.run('doctor', template.folder)).toMatchObject({
      status: 0,
      output: expect.stringMatching(/^0 advisories/),
    });
  });
});
